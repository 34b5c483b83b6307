#!/usr/bin/env python3
"""Makes the fixtures of chat_template_test.cpp and declared_tokens_test.cpp with transformers 5.2, the
judge of what a model sees of a chat and of what the files beside tokenizer.json mean.

usage: make_folders.py

Beside this script it writes
  templates.json  own chat templates: files of a folder with the text and ids that transformers renders
                  for one user turn on 26 July 2024, or what kvbench must say when it refuses
  declared.json   tokenizer files: ids of a few texts, what they decode to, and named tokens
Every folder has smollm.json for its tokenizer.json, but where `tokenizer` changes it.
"""
import datetime
import json
import tempfile
from pathlib import Path

import transformers
import transformers.utils.chat_template_utils as chat_template_utils

HERE = Path(__file__).resolve().parent
USER = "What is 17 * 23?\n\nSay it in one word."
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast"}
TOKENS = {**CONFIG, "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}


def plain(text):
    """A template that writes nothing but this around the user's text."""
    return text.replace("USER", "{{ messages[0]['content'] }}")


# name: files; a text is chat_template.jinja beside TOKENS.
TEMPLATES = {
    "chatml": CHATML,
    "default system text put in front": "{% if messages[0]['role'] != 'system' %}{% set messages = [{'role': 'system', "
    "'content': 'Be brief.'}] + messages %}{% endif %}" + CHATML,
    "default system text, system role refused": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<turn>' + role + '\n' + message['content'] | trim + '<end>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}",
    "lines of a template": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n{% endif %}\n    {% if loop.last and add_generation_prompt %}\n"
    "  {{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}\n",
    "trimmed text and brackets": "{{ bos_token + '[INST] ' + messages[0]['content'].strip() + ' [/INST]' }}",
    "a date of its own": "{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}{% else %}{% set date_string = '26 Jul 2024' %}{% endif %}{% endif %}"
    "{{- 'Today Date: ' + date_string + '\n\n' }}" + CHATML,
    "a date from the clock": "{{- 'It is ' + strftime_now('%A, %d %B %Y') + '.\n' }}" + CHATML,
    "namespace, loop controls, macro": "{%- macro turn(role, text) -%}\n<{{ role }}>{{ text }}</{{ role }}>\n{%- endmacro -%}\n"
    "{%- set ns = namespace(seen=0) -%}\n{%- for message in messages -%}\n{%- if message.role == 'system' %}{% continue %}{% endif -%}\n"
    "{%- set ns.seen = ns.seen + 1 -%}\n{{- turn(message.role, message.content) -}}\n{%- if ns.seen == 1 %}{% break %}{% endif -%}\n"
    "{%- endfor %}\n{{- ns.seen ~ '\n' -}}\n{% if add_generation_prompt %}<assistant>{% endif %}",
    "thinking switch": CHATML + "{% if add_generation_prompt and enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}",
    "tools and documents": "{%- if tools %}{{ tools | tojson }}{% elif documents is not none %}docs{% else %}{{ '# No tools\n' }}{% endif -%}" + CHATML,
    "marked answers": "{% for message in messages %}{% if message.role == 'assistant' %}{% generation %}{{ message.content }}"
    "{% endgeneration %}{% else %}<u>{{ message.content }}</u>{% endif %}{% endfor %}{% generation %}{% set x = 1 %}<a>{% endgeneration %}",
    "JSON without HTML escapes": "{{ {'a': \"<b> & 'c'\", 'd': ['é', 1, none]} | tojson }}|{{ [1, 2] | tojson(indent=2) }}" + CHATML,
    "other token variables": {"chat_template.jinja": plain("{{ bos_token }}{{ image_token }}{{ unk_token }}USER{{ eos_token }}"),
                              "tokenizer_config.json": {**TOKENS, "image_token": "<mask>"}},
    "two files of line ends": plain("a\r\nUSER\r\n\r\nb\r\n"),
    "in tokenizer_config.json": {"tokenizer_config.json": {**TOKENS, "chat_template": CHATML}},
    "named, one default": {"tokenizer_config.json": {**TOKENS, "chat_template": [
        {"name": "tool_use", "template": plain("tools USER")}, {"name": "default", "template": plain("default USER.")}]}},
    "named in an object": {"tokenizer_config.json": {**TOKENS, "chat_template": {"rag": plain("rag USER"), "default": plain("object USER")}}},
    "the file before the configuration": {"chat_template.jinja": plain("file USER"), "tokenizer_config.json": {**TOKENS, "chat_template": CHATML}},
    "additional files": {"chat_template.jinja": plain("file USER"), "additional_chat_templates/rag.jinja": plain("rag USER"), "tokenizer_config.json": TOKENS},
    "a default among the additional files": {"additional_chat_templates/default.jinja": plain("more USER"),
                                             "additional_chat_templates/rag.jinja": plain("rag USER"), "tokenizer_config.json": TOKENS},
    "BOS in special_tokens_map.json": {"chat_template.jinja": plain("{{ bos_token }}[INST] USER [/INST]"), "tokenizer_config.json": CONFIG,
                                       "special_tokens_map.json": {"bos_token": {"content": "<|endoftext|>", "lstrip": False, "rstrip": False,
                                                                                 "normalized": False, "single_word": False}}},
    "special_tokens_map.json over the configuration": {"chat_template.jinja": plain("{{ bos_token }}USER"), "tokenizer_config.json": TOKENS,
                                                       "special_tokens_map.json": {"bos_token": "<|im_start|>"}},
    "added_tokens_decoder over special_tokens_map.json": {
        "chat_template.jinja": plain("{{ bos_token }}USER{{ pad_token }}"),
        "tokenizer_config.json": {**TOKENS, "added_tokens_decoder": {"0": {"content": "<|endoftext|>", "lstrip": False, "rstrip": False,
                                                                           "normalized": False, "single_word": False, "special": True}}},
        "special_tokens_map.json": {"bos_token": "<|im_start|>", "pad_token": "<|im_end|>"}},
    "BOS is nowhere": {"chat_template.jinja": plain("{{ bos_token }}USER"), "tokenizer_config.json": CONFIG},
}

# name: (files, what the refusal says)
REFUSED = {
    "depends on the length": ("{% if messages[0]['content'] | length > 1000 %}long {% endif %}{{ messages[0]['content'] }}", "depends on the user's text"),
    "depends on digits": ("{% if messages[0]['content'][0] in '0123456789' %}number {% endif %}{{ messages[0]['content'] }}", "depends on the user's text"),
    "escapes": ("{{ messages[0]['content'] | e }}", "depends on the user's text"),
    "prints the messages": ("{{ messages }}", "depends on the user's text"),
    "upper case": ("{{ messages[0]['content'] | upper }}", "leaves out or changes the user's text"),
    "leaves the text out": (CHATML.replace("message['content']", "'x'"), "leaves out or changes the user's text"),
    "wants parts": ("{% for part in messages[0]['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}", "leaves out or changes the user's text"),
    "repeats the text": (plain("USER USER"), "writes the user's text 2 times"),
    "endless loop": ("{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(99999) %}{% endfor %}{% endfor %}{% endfor %}" + CHATML,
                     "takes more than the 2 s or 1 GiB that it may"),
    "endless memory": ("{{ 'x' * 100000000000 }}" + CHATML, "MemoryError"),
    "endless recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}" + CHATML, "RecursionError"),
    "syntax error": ("{{ messages[0]['content'] }}\n{% if", "line 2: "),
    "unknown filter": ("{{ messages[0]['content'] | nosuchfilter }}", "line 1: No filter named 'nosuchfilter'"),
    "raises": ("{{ raise_exception('Only for\nfour roles') }}", "not supported: Only for four roles ("),
    "undefined": ("{{ functions.x }}{{ messages[0]['content'] }}", "'functions' is undefined"),
    "out of the sandbox": ("{{ ''.__class__.__mro__ }}{{ messages[0]['content'] }}", "unsafe"),
    "changes its input": ("{{ messages.append(1) }}{{ messages[0]['content'] }}", "unsafe"),
    "too much": ("{{ 'xxxxxxxxxx' * 200000 }}{{ messages[0]['content'] }}", "2000000 characters"),
    "half a character": ("{{ '\\ud800' }}{{ messages[0]['content'] }}", "surrogates"),
    "an empty list": ({"tokenizer_config.json": {**TOKENS, "chat_template": []}}, "name default, got none"),
    "no default": ({"tokenizer_config.json": {**TOKENS, "chat_template": [{"name": "rag", "template": "x"}, {"name": "tool_use", "template": "y"}]}},
                   "name default, got rag, tool_use"),
    "additional files without a default": ({"additional_chat_templates/rag.jinja": "x", "tokenizer_config.json": {**TOKENS, "chat_template": CHATML}},
                                           "rag.jinja: expected a chat template with the name default, got rag"),
    "no text": ({"tokenizer_config.json": {**TOKENS, "chat_template": 7}}, "chat_template: expected a list"),
}


def token(content, **flags):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True, **flags}


def n(offset):
    """The id that the first, second, ... new token gets."""
    return SIZE + offset


def write_folder(folder, files):
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), newline="")


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


def loaded(files):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_folder(folder, {"tokenizer.json": SMOLLM, **files})
        return transformers.AutoTokenizer.from_pretrained(folder)


def as_files(template):
    return template if isinstance(template, dict) else {"chat_template.jinja": template, "tokenizer_config.json": TOKENS}


def templates():
    rows = []
    for name, template in TEMPLATES.items():
        files = as_files(template)
        tokenizer = loaded(files)
        args = ([{"role": "user", "content": USER}],)
        kwargs = {"add_generation_prompt": True, "enable_thinking": False}
        text = tokenizer.apply_chat_template(*args, **kwargs, tokenize=False)
        ids = tokenizer.apply_chat_template(*args, **kwargs)
        rows.append({"name": name, "files": files, "rendered": text, "ids": list(ids["input_ids"] if isinstance(ids, dict) or hasattr(ids, "keys") else ids)})
    for name, (template, words) in REFUSED.items():
        rows.append({"name": name, "files": as_files(template), "refused": words})
    return {"user": USER, "templates": rows}


def declared():
    folders = {
        "nothing beside it": {},
        "an empty configuration": {"tokenizer_config.json": CONFIG},
        "added_tokens_decoder adds": {"tokenizer_config.json": {**CONFIG, "added_tokens_decoder": {str(n(1)): token("<y>"), str(n(0)): token("<x>", special=False)}}},
        "added_tokens_decoder changes flags": {"tokenizer_config.json": {**CONFIG, "added_tokens_decoder": {"2": token("<|im_end|>", lstrip=True, rstrip=True)}}},
        "added_tokens_decoder changes normalized": {"tokenizer_config.json": {**CONFIG, "added_tokens_decoder": {str(n(0)): {"content": "<x>"}}}},
        "a token of the vocabulary": {"tokenizer_config.json": {**CONFIG, "bos_token": "a", "unk_token": "<|endoftext|>"}},
        "a new named token": {"tokenizer_config.json": {**CONFIG, "eos_token": "<x>", "bos_token": "<y>"}},
        "named token with flags": {"tokenizer_config.json": {**CONFIG, "eos_token": {"__type": "AddedToken", **token("<x>", lstrip=True)}}},
        "special_tokens_map.json": {"tokenizer_config.json": {**CONFIG, "bos_token": "<z>"}, "special_tokens_map.json": {"bos_token": "<y>", "eos_token": "<|im_end|>"}},
        "special_tokens_map.json is not read": {"tokenizer_config.json": {**CONFIG, "added_tokens_decoder": {str(n(0)): token("<x>")}},
                                                "special_tokens_map.json": {"bos_token": "<y>"}},
        "added_tokens.json": {"tokenizer_config.json": CONFIG, "added_tokens.json": {"<y>": n(0), "<x>": n(1)}},
        "added_tokens.json with a name": {"tokenizer_config.json": {**CONFIG, "pad_token": "<x>"}, "added_tokens.json": {"<x>": n(0)}},
        "added_tokens.json repeats": {"tokenizer_config.json": CONFIG, "added_tokens.json": {"<mask>": next(t["id"] for t in SMOLLM["added_tokens"] if t["content"] == "<mask>")}},
        "additional_special_tokens": {"tokenizer_config.json": {**CONFIG, "additional_special_tokens": ["<x>", "<|im_end|>", "<y>"]}},
        "extra_special_tokens by name": {"tokenizer_config.json": {**CONFIG, "extra_special_tokens": {"image_token": "<x>"}}},
        "a name of the model's own": {"tokenizer_config.json": {**CONFIG, "boi_token": "<x>", "add_bos_token": False}},
    }
    texts = ["a <x> b", "<|im_start|>user\nhi <|im_end|> <y>", "<mask> a<x>", "none of them, a bab", "<X> <|IM_END|>"]
    rows = []
    for name, files in folders.items():
        tokenizer = loaded(files) if files else loaded({"tokenizer_config.json": CONFIG})
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        padded = [[0, n(50), ids[0][0]], [n(1000)], ids[1] + [n(7)]]
        rows.append({
            "name": name, "files": files, "ids": ids,
            "decoded": [tokenizer.decode(row, skip_special_tokens=False) for row in ids],
            "decoded_skip": [tokenizer.decode(row, skip_special_tokens=True) for row in ids],
            "padded": padded, "padded_decoded": [tokenizer.decode(row) for row in padded],
            "bos_token": tokenizer.bos_token or "",
            "eos_id": -1 if tokenizer.eos_token is None else tokenizer.eos_token_id,
        })  # fmt: skip
    return {"texts": texts, "folders": rows}


def main():
    chat_template_utils.datetime = FixedDate
    for name, value in (("templates.json", templates()), ("declared.json", declared())):
        (HERE / name).write_text(json.dumps(value, ensure_ascii=True, indent=1) + "\n")
        print(name, len(value.get("templates", value.get("folders"))))


SMOLLM = json.loads((HERE / "smollm.json").read_text())
SIZE = 1 + max([t["id"] for t in SMOLLM["added_tokens"]] + list(SMOLLM["model"]["vocab"].values()))

if __name__ == "__main__":
    main()
