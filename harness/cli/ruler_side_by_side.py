#!/usr/bin/env python3
"""Times generating and tokenising niah_single_2 beside a plain Python version of the official rule, in turn.

usage: ruler_side_by_side.py [--length 32768] [--samples 100] [--rounds 1] [--model DIR] [--bench FILE]
(needs a Python with `tokenizers`; from the repository's root, after ./kvbench has installed a model)

The Python version is that of RULER's niah.py: the whole prompt is tokenised at every probe and for every sample,
once more up to the answer, and once more for the model. Prints the seconds of both and their ratio, and fails when
the Python package counts other tokens in kvbench's samples than kvbench did.
"""

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tokenizers

STEP, ANSWER_TOKENS = 500, 128
DEPTHS = [round(100 * i / 39) for i in range(40)]
PROMPT = ("A special magic number is hidden within the following text. Make sure to memorize it. I will quiz you about "
          "the number afterwards.\n{context}\nWhat is the special magic number for {key} mentioned in the provided "
          "text?")
PREFIX = " The special magic number for {key} mentioned in the provided text is"


def draw(words, size):
    """Prompt without prefix, prefix and answer of a fresh sample over `size` words."""
    key, value = f"word{random.randrange(10**6)}-noun", str(random.randrange(10**6, 10**7))
    text = " ".join((words * (size // len(words) + 1))[:size])
    sentences = re.split(r"(?<=[.?!]) ", text)
    place = int(len(sentences) * random.choice(DEPTHS) / 100)
    needle = f"One of the special magic numbers for {key} is: {value}."
    context = " ".join([" ".join(sentences[:place]), needle, " ".join(sentences[place:])])
    return PROMPT.format(context=context, key=key), PREFIX.format(key=key), value


def generate(tokenizer, words, length, samples):
    """Token ids of every sample's prompt."""
    count = lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
    probe = lambda size: count("".join(draw(words, size)[:2])) + ANSWER_TOKENS
    per_word = (probe(STEP) - ANSWER_TOKENS) / STEP
    low, high, fitted = STEP, max(int(length / per_word * 3), 2 * STEP), STEP
    while low <= high:
        middle = (low + high) // 2
        if probe(middle) <= length:
            fitted, low = middle, middle + 1
        else:
            high = middle - 1
    prompts = []
    for _ in range(samples):
        size = fitted
        while True:
            text, prefix, value = draw(words, size)
            if count(text + prefix) + ANSWER_TOKENS <= length:
                break
            size -= STEP if size > STEP else 0
        count(text[:text.index(value)])
        prompts.append([tokenizer.encode(part, add_special_tokens=False).ids for part in (text, prefix)])
    return prompts


def differing(tokenizer, samples):
    """How many samples have another number of tokens than they say."""
    wrong = 0
    for sample in map(json.loads, samples.read_text(encoding="utf-8").splitlines()):
        before = sample["input"][:sample["index"]]
        for text, tokens in ((sample["input"] + sample["answer_prefix"], sample["length"] - ANSWER_TOKENS),
                             (before, sample["token_position_answer"])):
            wrong += len(tokenizer.encode(text, add_special_tokens=False).ids) != tokens
    return wrong


def main():
    """Runs both in turn; status 1 when they disagree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("length", 32768), ("samples", 100), ("rounds", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--model", type=Path, default=Path(".deps/models/smollm2-135m-instruct"))
    parser.add_argument("--essays", type=Path, default=Path(".deps/data/essays"))
    parser.add_argument("--bench", type=Path, default=Path("build/ruler_bench"))
    arguments = parser.parse_args()
    tokenizer = tokenizers.Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    words = "".join(file.read_text(encoding="utf-8") for file in sorted(arguments.essays.glob("*.txt"))).split()
    python_s, ours_s = [], []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "samples.jsonl"
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            prompts = generate(tokenizer, words, arguments.length, arguments.samples)
            python_s.append(time.perf_counter() - start)
            command = [arguments.bench, arguments.model, "niah_single_2", str(arguments.length),
                       str(arguments.samples), out]
            figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            ours_s.append(figures["generate_s"] + figures["ids_s"])
        wrong = differing(tokenizer, out)
    python, ours = statistics.median(python_s), statistics.median(ours_s)
    tokens = sum(len(part) for prompt in prompts for part in prompt)
    print(f"{arguments.samples} samples of {arguments.length} tokens, {arguments.rounds} rounds in turn, medians")
    print(f"Python {python:.2f} s ({tokens} tokens), kvbench {ours:.3f} s ({figures['tokens']} tokens): "
          f"{python / ours:.0f} times faster")
    rate = lambda key, amount: f"{figures[amount] / figures[key] / 1e6:.1f} million tokens a second"
    print(f"kvbench's ids of the prompts: {rate('ids_s', 'tokens')}, "
          f"{rate('ids_unseen_s', 'tokens')} with a tokenizer that has seen none")
    print(f"{wrong} of {2 * arguments.samples} counts differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
