#!/usr/bin/env python3
"""Makes the fixtures of tokenizer_test.cpp with the Python package `tokenizers` 0.23.3, the judge of
what token ids a text has.

usage: make_fixtures.py [--again | SMOLLM2_TOKENIZER_JSON SMOLLM2_EXPECTED_JSON]

Beside this script it writes
  strings.json          the texts, shared by all tokenizers
  <family>.json         a tiny trained tokenizer
  <family>_expected.json  {"ids": per text, "decoded": per text, "decoded_skip": per text}; null stands
                        for a decoded text equal to the source text
  variants.json         other settings of the parts over one of the tokenizers, with expectations
  regexes.json          patterns, and the pieces that Split cuts a few texts into
Training breaks ties at random: another run makes other tokenizers, with expectations to match.
--again makes the last two for the tokenizers and texts that are there.
With two arguments it also writes the expectations of a given tokenizer for the same texts
(harness/golden/smollm2_tokens.json).
"""
import copy
import json
import random
import sys
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).resolve().parent
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

PROSE = """The cache of keys and values grows with every token that a model has read. When the memory of
the device is full, some pairs must go, and the question is which. A policy gives each pair a score and
keeps the best ones; another rule spreads the budget over layers and heads. We measure what is lost: the
answers to questions about the evicted text. It isn't simple, they're similar but don't agree, I'd say
we'll see what you've found and I'm sure it's fine. One of the special magic numbers for long-context is:
7395012. What is the special magic number for long-context mentioned in the provided text? The grass is
green. The sky is blue. The sun is yellow. Here we go. There and back again. VAR ABCDE = 12345."""

CODE = ["def f(x):\n\treturn x ** 2  # square\n", "for (int i = 0; i < n; ++i) { a[i] += b[i] * c; }\r\n",
        "#include <vector>\n\nstd::vector<int> v{1, 2, 3};\n", "SELECT * FROM t WHERE id=42 AND name='x';",
        "if (a && !b || c != d) {\n    return nullptr;\n}\n", "{\"key\": [1, 2.5e-3, null, true], \"s\": \"\\n\"}",
        "https://example.org/a/b?c=d&e=%20f#g", "user.name+tag@mail.example.org", "C:\\Users\\x\\file.txt",
        "$ cd /tmp && ls -la | grep '^d' > out.txt", "<div class=\"a b\">text &amp; more</div>",
        "x = 0xFF + 0b1010 - 0o17; y = 1_000_000.5f", "a->b.c::d(e, f)[g]; // comment", "\\frac{a}{b} \\le x^2_i",
        "@decorator\nclass A(B):\n    pass\n\n\n", "^\\s*(\\w+)\\s*=\\s*(.*?)\\s*$"]

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<mask>", "<sep>", "<word>", "<both>", "kv-cache",
           "Cafe\u0301", "<s>", "</s>", "<unk>", "<0x41>"]

SCRIPTS = ["Καλημέρα κόσμε", "Съешь ещё этих мягких французских булок", "السلام عليكم ورحمة الله", "שָׁלוֹם עוֹלָם",
           "नमस्ते दुनिया", "สวัสดีชาวโลก", "你好，世界！今天天气很好。", "こんにちは世界、カタカナとひらがな", "안녕하세요 세계",
           "Xin chào thế giới", "Příliš žluťoučký kůň", "Zażółć gęślą jaźń", "Größe und Straße", "naïve café résumé",
           "İstanbul'da ılık ığdır", "ქართული ენა", "Հայերեն լեզու", "አማርኛ ቋንቋ", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ",
           "ភាសាខ្មែរ", "မြန်မာဘာသာ", "සිංහල භාෂාව", "தமிழ் மொழி", "తెలుగు భాష", "ગુજરાતી ભાષા", "ਪੰਜਾਬੀ ਭਾਸ਼ਾ",
           "བོད་སྐད་", "ພາສາລາວ", "𐌲𐌿𐍄𐌹𐍃𐌺", "𝔾𝕠𝕠𝕕 𝕞𝕠𝕣𝕟𝕚𝕟𝕘", "ᚠᚢᚦᚨᚱᚲ"]

DIGITS = ["1234567890", "1,234,567.89", "-12e+5", "１２３４５ ６７", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴", "०१२३", "ⅠⅡⅢⅣ Ⅻ ⅷ", "x² + y³ = z⁴", "H₂O CO₂",
          "½ ¼ ¾ ⅓ ⅞", "①②③⑩⑳", "一二三〇", "𝟏𝟐𝟑𝟺", "㉑㊿", "3.14159265358979", "1 2 3  4   5", "007", "a1b2c3", "2024-07-26T12:34:56Z",
          "10000000000000000000000000", "99bottles", "٣٫١٤", "৪৫৬", "๗๘๙", "ↀↁↂ", "1st 2nd 3rd"]

CONTRACTIONS = ["I'm you're he's she'd we'll they've it's don't", "I'M YOU'RE HE'S SHE'D WE'LL THEY'VE IT'S DON'T",
                "'s't're've'm'll'd", "'S'T'RE", "o'clock rock'n'roll 'tis", "it’s don’t we’ll", "''s '''t", "a's'b", "'\u017f 'K\u212a",
                "l'homme d'été qu'il", "'re-do 'versus", "x'ss 'tt 'dd"]

BLANKS = ["", " ", "  ", "   ", "\t", "\n", "\r", "\r\n", "\n\n", " \n", "\n ", "\t\t", " \t \n ", "a ", " a", "  a", "   a", "a  ", "a  b", "a   b",
          "a\tb", "a\t\tb", "a\nb", "a\n\nb", "a\r\nb", "a\r\n\r\nb", "a \n b", "a\n b", "a \nb", "a\n  b", "a  \n  b", " a b  c   d    e", "\u00a0", "a\u00a0b",
          "a\u2003b", "a\u3000b", "\u2028", "a\u2029b", "a\x0bb\x0cc", "\x85", "a\x85 b", "a\u180eb", "a\u200bb", "a\u2009\u200ab", "\u202f", "\u205f1", " " * 17, "a" + " " * 33 + "b",
          "\n" * 9, "\t" * 7 + "x", "\r\n" * 5, " \r \r\n \n", "x \u00a0 y", "\u1680x", "a\x1cb\x1fc"]

ODD = ["\x00", "a\x00b", "\ufeff", "\ufeffa", "a\ufeff", "\u200d", "\u200c\u200d", "\u2060", "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000", "\x7f", "\x01\x02\x03", "\x1b[31mred\x1b[0m",
       "\u202eabc\u202c", "a\u0301", "e\u0301", "\u00e9", "A\u030a", "\u212b", "\u1e9b\u0323", "\u0301", " \u0301", "a\u0301\u0323\u0302", "\u1100\u1161\u11a8", "각", "ﬁ ﬂ ﬃ ﬅ", "Ǆ ǅ ǆ",
       "ﷺ", "㍿", "Å", "Ω", "q\u0307\u0323", "\u0344", "\u0958", "नि", "\u0f73", "\u2126", "\uf900", "\u2f800"[0] + "\U0002f800", "ß ẞ", "ſ", "\u0130 \u0131",
       "👍", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "☺️ ☹", "1️⃣ #️⃣", "😀😃😄", "a😀b", " 😀 ", "🧑‍🚀 to 🌙", "❤️‍🔥", "\U0001f9ff", "©®™", "€£¥₿", "→ ⇒ ↔", "…—–", "“quoted” ‘text’", "«a» ‹b›", "¿qué? ¡sí!",
       "▁", "▁▁", "a▁b", "▁a", " ▁ ", "Ġ", "Ċ", "ĠĊ", "<0x0A>", "<0x", "<", "</", "<|", "|>", "<|im", "<|im_start", "<<|im_start|>>", "<s", "#version", "##a"]

PUNCTUATION = ["!", "?!", "...", "....", "!!!!!!", "a.b.c", "(a)", "[b]", "{c}", "a,b;c:d", "--", "---", "a-b", "a--b", "_a_", "__init__", "a/b\\c", "~`@#$%^&*()",
               "\"quoted\"", "'quoted'", "*bold* **x**", ". . .", " .", " . ", "?\n", "!\r\n", ".\n\n", " \".", "=)", ":-)", "a.\nb", "end.\n\n\nNext", "$5.00", "50%", "#1", "&c.", "a+b=c", "<=>", "==", "!=", "->", "::", "//", "/*x*/"]

RUNS = ["a" * 50, "A" * 33, "ab" * 30, "1" * 40, "=" * 64, "." * 20, "-" * 31, "é" * 20, "字" * 24, "😀" * 8, "aA" * 16, "\u0301" * 12, "hahaha" * 6, "!?" * 12, "x " * 20, "a1" * 15, "'s" * 10]


def special_texts():
    texts = list(SPECIAL)
    for s in SPECIAL:
        texts += ["a" + s + "b", " " + s + " ", "a  " + s + "  b", s + s, s + " " + s, "\n" + s + "\n\n", s[:-1], "x" + s, s + "y", "_" + s + "_", s + "\u0301", "\u00a0" + s + "\u3000."]
    texts += ["<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
              "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "a <mask> <mask>b", "<sep>  <sep> <mask>", "<both> <both>  <mask>",
              "pre<word>post", "pre <word> post", "<word>", "<word>s", "1<word>", "é<word>", "(<word>)", "<word><word>", "kv-caches", "my kv-cache.", "KV-CACHE",
              "Cafe\u0301 Café", "Caf\u00e9", "un Caf\u00e9 noir", "<s>[INST] Hi [/INST]</s>", "  <s>  text", "<unk><unk>", "<s> <s>"]
    return texts


def random_text(rng, alphabet, low, high):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def strings():
    rng = random.Random(20240726)
    # Code points of Unicode 3.2: PCRE2, ICU and the judge carry tables of different later versions.
    old = unicodedata.ucd_3_2_0
    assigned = [chr(c) for c in range(0x110000)
                if not 0xD800 <= c < 0xE000 and old.category(chr(c)) not in ("Cn", "Co", "Cs")]
    letters = [c for c in assigned if unicodedata.category(c)[0] == "L"]
    marks = [c for c in assigned if unicodedata.category(c)[0] == "M"]
    numbers = [c for c in assigned if unicodedata.category(c)[0] == "N"]
    blanks = [c for c in assigned if unicodedata.category(c)[0] == "Z"] + list("\t\n\r\x0b\x0c\x85")
    words = PROSE.split()
    texts = [*BLANKS, *CODE, *SCRIPTS, *DIGITS, *CONTRACTIONS, *PUNCTUATION, *ODD, *RUNS, *special_texts(), PROSE, PROSE.replace("\n", " ")]
    texts += [s + "\n" + t for s, t in zip(SCRIPTS, reversed(DIGITS))]
    for _ in range(40):
        texts.append(random_text(rng, assigned, 1, 14))
    for _ in range(25):
        texts.append(random_text(rng, [chr(c) for c in range(0x20, 0x250)], 4, 30))
    kinds = (letters, marks, numbers, blanks, list("'-._ \n"))
    for _ in range(25):
        texts.append("".join(rng.choice(rng.choice(kinds)) for _ in range(rng.randint(3, 16))))
    for _ in range(25):
        texts.append("".join(rng.choice("eaouAKn") + rng.choice(("", "", "\u0301", "\u0308\u0301", "\u0323\u0302", "\u030a"))
                             for _ in range(rng.randint(2, 9))))
    for _ in range(25):
        texts.append("".join(rng.choice((" ", "  ", "\n", "", "'", "-", "\t", " \n")) + rng.choice(words)
                             for _ in range(rng.randint(2, 12))))
    for _ in range(25):
        texts.append("".join(rng.choice((rng.choice(SPECIAL), rng.choice(words), " ", "  ", "\n", "_", "1", "é", ""))
                             for _ in range(rng.randint(3, 10))))
    unique = list(dict.fromkeys(texts))
    assert len(unique) >= 500, len(unique)
    return unique


def added(content, **flags):
    token = dict(id=0, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    token.update(flags)
    return token


def train(pre, size, alphabet=(), special=(), normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, initial_alphabet=list(alphabet), special_tokens=list(special),
                                  show_progress=False, limit_alphabet=400)
    tokenizer.train_from_iterator([PROSE] * 3 + CODE + SCRIPTS + DIGITS + CONTRACTIONS * 2, trainer)
    return json.loads(tokenizer.to_str())


def with_added(spec, tokens):
    """Ids as the library will give them: of the vocabulary, else the next free one."""
    vocab, next_id = spec["model"]["vocab"], len(spec["model"]["vocab"])
    for token in tokens:
        if token["content"] in vocab:
            token["id"] = vocab[token["content"]]
        else:
            token["id"], next_id = next_id, next_id + 1
    spec["added_tokens"] = sorted(tokens, key=lambda t: t["id"])
    return spec


def string_merges(spec):
    spec["model"]["merges"] = [" ".join(m) for m in spec["model"]["merges"]]
    return spec


BYTE_LEVEL_DECODER = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


def flagged():
    return [added("<mask>", lstrip=True, special=True), added("<sep>", rstrip=True, special=True), added("<word>", single_word=True),
            added("<both>", lstrip=True, rstrip=True), added("kv-cache", normalized=True)]


def smollm():
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    spec = train(pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]), 1000, alphabet, specials)
    spec["decoder"] = BYTE_LEVEL_DECODER
    return with_added(spec, [added(s, special=True) for s in specials] + flagged())


def llama3():
    spec = train(pre_tokenizers.Sequence([pre_tokenizers.Split(tokenizers.Regex(LLAMA3), "isolated"),
                                          pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), 1000, pre_tokenizers.ByteLevel.alphabet())
    # Words that no merges lead to: ignore_merges must find them whole.
    for word in ("Ġmentioned", "ĠĠĠ", "evicted", "123", "Ġð"):
        spec["model"]["vocab"].setdefault(word, len(spec["model"]["vocab"]))
    spec["model"]["ignore_merges"] = True
    spec["decoder"] = BYTE_LEVEL_DECODER
    spec["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    return with_added(string_merges(spec), [added(s, special=True) for s in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] + flagged())


def qwen2():
    spec = train(pre_tokenizers.Sequence([pre_tokenizers.Split(tokenizers.Regex(QWEN2), "isolated"),
                                          pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), 1000, pre_tokenizers.ByteLevel.alphabet(),
                 normalizer=normalizers.NFC())
    spec["decoder"] = BYTE_LEVEL_DECODER
    return with_added(spec, [added(s, special=True) for s in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] + flagged() +
                      [added("Cafe\u0301", normalized=True)])


def spm(spec):
    spec["model"].update(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    return spec


SPM_DECODER = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}


def spm_legacy():
    """Llama 2 as most tokenizer.json files have it."""
    spec = spm(train(pre_tokenizers.Metaspace(), 1100, special=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]))
    spec["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    spec["pre_tokenizer"] = None
    spec["decoder"] = SPM_DECODER
    # In the real files normalized is false for these; true exercises the prefixed pattern.
    return with_added(string_merges(spec), [added("<unk>", special=True), added("<s>", special=True), added("</s>", special=True)] + flagged())


def spm_metaspace():
    """The later form, here with half of the byte tokens missing, so that unknown tokens appear."""
    spec = spm(train(pre_tokenizers.Metaspace(), 900, special=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(0xE3)]))
    spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    spec["decoder"] = SPM_DECODER
    return with_added(spec, [added("<unk>", special=True), added("<s>", special=True), added("</s>", special=True)] + flagged())


def expectations(spec, texts):
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    out = {"ids": [], "decoded": [], "decoded_skip": []}
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        out["ids"].append(ids)
        for key, skip in (("decoded", False), ("decoded_skip", True)):
            decoded = tokenizer.decode(ids, skip_special_tokens=skip)
            out[key].append(None if decoded == text else decoded)
    return out


def variants(base):
    """[{"name", "base": family, "set": parts replaced at the top level, "model": keys replaced in the model}]"""
    def byte_level(**flags):
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True, **flags}

    def sequence(*parts):
        return {"type": "Sequence", "pretokenizers": list(parts)}

    def split(pattern, behavior, invert=False, kind="Regex"):
        return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}

    plain = byte_level(use_regex=False)
    out = []
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            for kind, pattern in (("Regex", r"\s|[aeiou]{1,2}"), ("Regex", r"\w+(?=[^\s])|x*"), ("String", " "), ("String", "")):
                out.append((f"split {kind} {pattern} {behavior} {invert}", "qwen2", {"pre_tokenizer": sequence(split(pattern, behavior, invert, kind), plain)}, {}))
    out += [
        ("digits runs", "smollm", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, byte_level())}, {}),
        ("prefix blank", "smollm", {"pre_tokenizer": byte_level(add_prefix_space=True)}, {}),
        ("prefix blank of each digit", "smollm", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byte_level(add_prefix_space=True))}, {}),
        ("no split at all", "smollm", {"pre_tokenizer": plain}, {}),
        ("nothing", "smollm", {"pre_tokenizer": None, "decoder": None}, {}),
        ("NFD", "qwen2", {"normalizer": {"type": "NFD"}}, {}),
        ("NFKC", "qwen2", {"normalizer": {"type": "NFKC"}}, {}),
        ("NFKD", "qwen2", {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}]}}, {}),
        ("replace by regex", "qwen2", {"normalizer": {"type": "Replace", "pattern": {"Regex": r"\s+|\d{2}"}, "content": "_"}}, {}),
        ("prepend", "qwen2", {"normalizer": {"type": "Prepend", "prepend": "x "}}, {}),
        ("no ignore_merges", "llama3", {}, {"ignore_merges": False}),
        ("no fuse_unk", "spm_metaspace", {}, {"fuse_unk": False}),
        ("no byte_fallback", "spm_metaspace", {}, {"byte_fallback": False}),
        ("no byte_fallback, no fuse_unk", "spm_metaspace", {}, {"byte_fallback": False, "fuse_unk": False}),
        ("no unknown token", "spm_metaspace", {}, {"byte_fallback": False, "unk_token": None}),
        ("gemma", "spm_metaspace", {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                                    "pre_tokenizer": split(" ", "MergedWithPrevious", False, "String"),
                                    "decoder": {"type": "Sequence", "decoders": SPM_DECODER["decoders"][:3]}}, {}),
        ("strip both ends", "spm_metaspace", {"decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "▁", "start": 2, "stop": 0},
                                                                                              {"type": "Replace", "pattern": {"Regex": "[▁e]"}, "content": "-"}]}}, {}),
    ]
    for scheme in ("first", "always", "never"):
        for cut in (True, False):
            part = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}
            out.append((f"metaspace {scheme} {cut}", "spm_metaspace", {"pre_tokenizer": part, "decoder": part}, {}))
    out.append(("metaspace after digits", "spm_metaspace", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False},
                                                             {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True})}, {}))
    for part in ({"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"},
                 {"type": "Punctuation", "behavior": "MergedWithPrevious"}, {"type": "Punctuation", "behavior": "Contiguous"}):
        out.append((" ".join(part.values()), "smollm", {"pre_tokenizer": sequence(part, plain)}, {}))
    for left, right in ((True, True), (True, False), (False, True)):
        out.append((f"strip {left} {right}", "smollm", {"normalizer": {"type": "Strip", "strip_left": left, "strip_right": right}}, {}))
    out += [
        ("lowercase", "qwen2", {"normalizer": {"type": "Lowercase"}}, {}),
        ("strip accents", "qwen2", {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}}, {}),
        ("deepseek", "qwen2", {"normalizer": None, "pre_tokenizer": sequence(
            split("[\r\n]", "Isolated"), split(r"\s?\p{L}+", "Isolated"), split(r"\s?\p{P}+", "Isolated"), split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", "Isolated"),
            split(r"\s+$", "Isolated"), {"type": "Digits", "individual_digits": True}, plain)}, {}),
    ]
    made = []
    for name, family, top, model in out:
        spec = copy.deepcopy(base[family])
        spec.update(top)
        spec["model"].update(model)
        made.append({"name": name, "base": family, "set": top, "model": model, "spec": spec})
    return made


# Constructs of Oniguruma's Ruby syntax, those first whose meaning differs elsewhere.
PATTERNS = [
    "^a", "a$", "^", "$", r"\s+$", r"^\s+", r"\Aa", r"a\z", r"a\Z", r"\n\Z", r"(?m:a.b)", r"a.b", r"(?m)a.b", r"(?i)AB|c", r"a(?i)b|C", r"(a(?i)b|C)d|D", r"(?-i:a)(?i:B)",
    r"(?i-m:A.)", r"a{2}+", r"a{2}", r"a{1,2}+", r"(?:ab){2}?", r"a{2}?b", r"a{1,2}?", r"a{,2}b", r"a{2,}", r"a++b", r"a*+", r"a?+a", r"a+?", r"\p{N}{1,3}+", r"é{1,2}+", r"[ab]{2}+c",
    r"(?<name>a+)b", r"(?<x>a)(b)", r"\bab\b", r"\Ba", r"\b", r"\W+", r"\w+", r"[\w-]+", r"[^\w\s]+", r"\u0061+", r"\x61+", r"\x{e9}+", r"[\u0061-\u0063]+", r"\v|\t",
    r"[a[bc]]+", r"[^a[bc]]+", r"[a-z&&[^b]]+", r"[a-z&&b-y&&[^c]]+", r"[^a-z&&[^b]]+", r"[\p{L}&&[^\p{Lu}]]+", r"[a[^\s]]+", r"[[:alpha:]]+", r"[[:digit:][:space:]]+", r"[[:punct:]]+",
    r"[[:upper:]]|[[:lower:]]+", r"[[:alnum:]_]+", r"[[:word:]]+", r"[a^]+", r"[\]a]+", r"[a\-z]+", r"[-a]+", r"\p{Letter}+", r"\p{Alpha}+", r"\p{Space}+", r"\P{L}+", r"\p{^L}+",
    r"(?<=a)b|(?<!a)c", r"(?>a+)b", r"a|b|", r"(?=a)", r"[\b]", r"\p{Han}+|\p{Hiragana}", r"[^\r\n\p{L}\p{N}]?+\p{L}++", r" ?[^\s\p{L}\p{N}]++[\r\n]*+", r"\s++$", r"'(?i:[sdmt]|ll|ve|re)",
    r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re)?",
]
PATTERN_TEXTS = [
    "a", "aab aaab\nab\n", "ab\n\n", "abc ABC aB Ab\ncd CD Cd", "aaaaa b aabab", "éé caf\u00e9 na\u00efve \u00c9t\u00e9", "x-y_z 12345 ab1 'S it'll we'VE", "  two  \n  lines \t\x0b \n ", "$1 + 2 = <3>; [x] ^y` {z}| ~ \u00ab\u00bb\u20ac",
    "\u5317\u4eac\u306e ABCabc Hello\u0301 \u0300\u01c5 ", "\na\r\nb\n", "d-e.f,g!h\r\n\r\n", "\x08]a]^-z",
]


def regexes():
    """[{"pattern", "isolated": pieces of each text, "removed": those between the matches}]"""
    rows = []
    for pattern in PATTERNS:
        row = {"pattern": pattern}
        for behavior in ("isolated", "removed"):
            split = pre_tokenizers.Split(tokenizers.Regex(pattern), behavior)
            row[behavior] = [[piece for piece, _ in split.pre_tokenize_str(text)] for text in PATTERN_TEXTS]
        rows.append(row)
    return {"texts": PATTERN_TEXTS, "patterns": rows}


def write(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def main():
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    families = (smollm, llama3, qwen2, spm_legacy, spm_metaspace)
    again = sys.argv[1:] == ["--again"]
    if again:
        texts = json.loads((HERE / "strings.json").read_text())
        base = {make.__name__: json.loads((HERE / f"{make.__name__}.json").read_text()) for make in families}
    else:
        texts, base = strings(), {}
        write("strings.json", texts)
        for make in families:
            spec = base[make.__name__] = make()
            write(f"{make.__name__}.json", spec)
            write(f"{make.__name__}_expected.json", expectations(spec, texts))
    write("regexes.json", regexes())
    picked = [i for i, text in enumerate(texts) if len(text) < 60][::16]
    rows = []
    for variant in variants(base):
        spec = variant.pop("spec")
        rows.append({**variant, **expectations(spec, [texts[i] for i in picked])})
    write("variants.json", {"strings": picked, "variants": rows})
    if len(sys.argv) == 3:
        spec = json.loads(Path(sys.argv[1]).read_text())
        expected = expectations(spec, texts)
        Path(sys.argv[2]).write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    print(len(texts), "strings,", len(rows), "variants")


if __name__ == "__main__":
    main()
