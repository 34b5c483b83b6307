#!/usr/bin/env python3
"""Chat templates through kvbench and through transformers: are the token ids of a prompt the same?

usage: compare_templates.py TEMPLATES TOKENIZER [KVBENCH]

TEMPLATES is a folder of *.jinja files, TOKENIZER a folder with tokenizer.json and what belongs to
it, KVBENCH the program (./kvbench of this tree unless given). Needs a Python with transformers 5.
For every template it makes a model folder (without weights: none are read) and compares the
sample_hash that `kvbench explain` prints with the hash of the ids of transformers'
apply_chat_template for the same user turn. Today is 26 July 2024 for transformers too. Prints one
line a template and how many are equal, refused and different; status 1 = some are different.
"""
import datetime
import hashlib
import json
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import transformers
import transformers.utils.chat_template_utils as chat_template_utils

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = (
    "Some special magic numbers are hidden here.\n\nOne of the special magic numbers for tin-cup is: 4071. "
)
QUESTION = "What is the special magic number for tin-cup mentioned in the provided text?"
ANSWER_PREFIX = "The special magic number for tin-cup mentioned in the provided text is"
CONFIG = {
    "model_type": "llama", "vocab_size": 1 << 20, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 1 << 20, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
    "torch_dtype": "float32", "eos_token_id": 2, "tie_word_embeddings": True,
}  # fmt: skip
SWEEP = """name: compare
model: {path: .}
device: cpu
chat_template: true
tasks: [{task: ruler/niah_single_1, file: task.jsonl}]
policies: [full]
ratios: [0.5]
output: run.h5
"""


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


def make_folder(folder, template, tokenizer):
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        if (tokenizer / file).exists():
            shutil.copy(tokenizer / file, folder / file)
    shutil.copy(template, folder / "chat_template.jinja")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "sweep.yaml").write_text(SWEEP)
    line = {"index": 0, "input": CONTEXT + QUESTION, "outputs": ["4071"], "length": 200, "answer_prefix": ANSWER_PREFIX}
    (folder / "task.jsonl").write_text(json.dumps(line) + "\n")


def short_hash(data):
    return hashlib.sha256(data).hexdigest()[:16]


def expected_hash(folder):
    """The hash of the ids, or why transformers has none."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    try:
        rendered = tokenizer.apply_chat_template(
            [{"role": "user", "content": CONTEXT + QUESTION}],
            add_generation_prompt=True, enable_thinking=False, tokenize=False,
        )  # fmt: skip
    except Exception as error:
        return None, f"{type(error).__name__}: {' '.join(str(error).split())}"
    if rendered.count(CONTEXT + QUESTION) != 1:
        return None, f"the text stands {rendered.count(CONTEXT + QUESTION)} times in the prompt"
    prefix, suffix = rendered.split(CONTEXT + QUESTION)

    def encoded(text):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        return struct.pack(f"<{len(ids)}i", *ids)

    context = short_hash(encoded(prefix + CONTEXT))
    return short_hash(context.encode() + encoded(QUESTION + suffix + ANSWER_PREFIX)), ""


def explained(folder, kvbench):
    """The sample_hash, or kvbench's refusal."""
    words = [kvbench, "explain", "sweep.yaml", "--task", "ruler/niah_single_1", "--sample", "0"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode == 0:
        return done.stdout.split("sample_hash ")[1].split()[0], ""
    line = done.stderr.strip()
    if done.returncode != 2 or "\n" in line or str(folder) not in line:
        return None, f"NOT A REFUSAL: status {done.returncode}: {line}"
    return None, line.replace(str(folder) + "/", "")


def main():
    templates, tokenizer = Path(sys.argv[1]), Path(sys.argv[2])
    kvbench = sys.argv[3] if len(sys.argv) > 3 else str(ROOT / "kvbench")
    chat_template_utils.datetime = FixedDate
    counts = {"equal": 0, "refused by both": 0, "refused": 0, "DIFFERENT": 0}
    for template in sorted(templates.glob("*.jinja")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            make_folder(folder, template, tokenizer)
            (want, why_none), (got, refusal) = expected_hash(folder), explained(folder, kvbench)
        if got is not None:
            verdict = "equal" if got == want else "DIFFERENT"
        elif "NOT A REFUSAL" in refusal:
            verdict = "DIFFERENT"
        else:
            verdict = "refused by both" if want is None else "refused"
        counts[verdict] += 1
        print(f"{verdict:16} {template.name}", *(f"\n    {w}" for w in (why_none, refusal) if w), sep="")
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if counts["DIFFERENT"] else 0


if __name__ == "__main__":
    sys.exit(main())
