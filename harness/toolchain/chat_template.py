#!/usr/bin/env python3
"""What a chat template writes around a user's text: rendered by Jinja2, set up as transformers 5
does it (utils/chat_template_utils.py), for one user turn with add_generation_prompt=True and
enable_thinking=False, as kvpress asks for it.

stdin   {"template": text, "tokens": {"bos_token": text, ...}, "jinja2": version}
stdout  {"prefix": text, "suffix": text, "fixed_date": whether the template asked for today's date,
         "trims": which ends of the text lose their white space: "", "start", "end" or "both"}
        or {"refused": why, one line} or {"setup": what is wrong with this Python, one line}

Several texts are rendered: what stands around them must be the same for all. A template may trim
the text. It runs in Jinja2's sandbox, within CPU_SECONDS and BYTES: beyond them the process ends
without an answer.
"""
import datetime
import json
import resource
import sys

CPU_SECONDS = 2
BYTES = 1 << 30
# Today's date would make runs of different days differ; this is the one that the templates of
# Llama 3.1 and 3.2 hold for readers that have no clock.
FIXED_DATE = datetime.datetime(2024, 7, 26)
LONGEST_FRAME = 1 << 20  # characters

# The first tells where the text stands.
TEXTS = [
    "Seven grey herons stood in 3 feet of water.",
    "x",
    "12345",
    "What is 17 * 23?\n\nA second paragraph.\n\tAnd a line with a tab.",
    "  blanks around it \n",
    "{{ braces }} {% tags %} {# notes #} <b>bold</b> & \"double\" 'single' back\\slash \\n caf\u00e9 \u5317\u4eac \U0001f642",
    "A long text. " * 20000,
]


class Refused(Exception):
    pass


def environment(jinja2, strftime_now):
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} marks what an assistant said; only training asks for the mark."""

        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

        def _written(self, caller):
            return caller()

    def raise_exception(message):
        raise jinja2.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def trimmed(rendered, prefix, text, suffix):
    """How the template trims the text, or None when it does something else to it."""
    ways = {"": text, "both": text.strip(), "start": text.lstrip(), "end": text.rstrip()}
    return next((way for way, given in ways.items() if rendered == prefix + given + suffix), None)


def frame(env, request):
    """What stands before and after the text, and how it is trimmed."""
    template = env.from_string(request["template"])

    def render(text):
        rendered = template.render(
            messages=[{"role": "user", "content": text}],
            tools=None,
            documents=None,
            **{**request["tokens"], "add_generation_prompt": True, "enable_thinking": False},
        )
        rendered.encode()  # half a surrogate pair is no text
        return rendered

    first = render(TEXTS[0])
    count = first.count(TEXTS[0])
    if count != 1:
        raise Refused(f"it writes the user's text {count} times" if count else "it leaves out or changes the user's text")
    prefix, suffix = first.split(TEXTS[0])
    if len(prefix) + len(suffix) > LONGEST_FRAME:
        raise Refused(f"it writes {len(prefix) + len(suffix)} characters around the user's text")
    trims = ""
    for text in TEXTS[1:]:
        way = trimmed(render(text), prefix, text, suffix)
        if way is None:
            raise Refused("what it writes depends on the user's text")
        trims = trims or way  # only a text with white space at its ends tells
    return prefix, suffix, trims


def rendered(jinja2, request):
    asked = []

    def strftime_now(form):
        asked.append(form)
        return FIXED_DATE.strftime(form)

    prefix, suffix, trims = frame(environment(jinja2, strftime_now), request)
    return {"prefix": prefix, "suffix": suffix, "fixed_date": bool(asked), "trims": trims}


def complaint(jinja2, error):
    text = " ".join(str(error).split())[:300]
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"line {error.lineno}: {text}"
    if isinstance(error, (Refused, jinja2.TemplateError)) and text:
        return text
    return f"{type(error).__name__}: {text}"


def answer(request):
    try:
        import jinja2
    except ImportError as error:
        return {"setup": str(error)}
    if jinja2.__version__ != request["jinja2"]:
        return {"setup": f"Jinja2 {jinja2.__version__} is installed, {request['jinja2']} is expected"}
    try:
        return rendered(jinja2, request)
    except Exception as error:
        return {"refused": complaint(jinja2, error)}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
