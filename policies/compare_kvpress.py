#!/usr/bin/env python3
"""What compressing a context costs: kvbench beside kvpress, as a Markdown table.

Both sides see the same tokens, weights, dtype and number of threads. Timed is scoring, selection
and compaction of all layers, prefill not counted:

- kvbench: score_ms, allocate_ms and compact_ms of `latency:`, one policy at a time.
- kvpress: `press.compress` of every layer inside a real prefill; each press gets the layer's full
  cache, in an order that turns with the rounds. Head-wise presses (AdaKV) only note what to mask:
  their time leaves out what the masking costs at every later step, and no memory is freed.
  ObservedAttention needs `attn_implementation="eager"`: what that adds to the prefill is its cost
  too.

Both sides run in turn in every round, and the table holds medians over the rounds.

The peer goes into an environment of its own (its prefill needs only a folder of weights):

    pip install torch==2.15.0 transformers==5.2.0 'accelerate<2' kvpress==0.5.5 h5py
    python policies/compare_kvpress.py --model-dir DIR
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import h5py
import torch
from kvpress import (AdaKVPress, CriticalAdaKVPress, CriticalKVPress, ExpectedAttentionPress,
                     KeyDiffPress, KnormPress, ObservedAttentionPress, PyramidKVPress, RandomPress,
                     SnapKVPress, StreamingLLMPress, TOVAPress)
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

SNAPKV = {"name": "snapkv", "window": 64, "kernel": 5, "pooling": "avg"}
PYRAMID = {"name": "pyramid", "window": 64, "beta": 20}

# Name, our policy, the peer's press at a ratio.
POLICIES = [
    ("random", "random", RandomPress),
    ("streaming_llm", "streaming_llm", StreamingLLMPress),
    ("knorm", "knorm", KnormPress),
    ("keydiff", "keydiff", KeyDiffPress),
    ("tova", "tova", TOVAPress),
    ("snapkv_kvpress", "snapkv_kvpress", SnapKVPress),
    ("pyramidkv", {"scorer": SNAPKV, "allocator": PYRAMID}, PyramidKVPress),
    ("expected_attention", "expected_attention", ExpectedAttentionPress),
    ("observed_attention", "observed_attention", ObservedAttentionPress),
    ("adakv_snapkv", {"scorer": SNAPKV, "allocator": "ada"}, lambda r: AdaKVPress(SnapKVPress(r))),
    ("adakv_expected_attention", {"scorer": "expected_attention", "allocator": "ada"},
     lambda r: AdaKVPress(ExpectedAttentionPress(r))),
    ("critical_snapkv", {"scorer": SNAPKV, "allocator": "uniform", "weighting": "critical"},
     lambda r: CriticalKVPress(SnapKVPress(r))),
    ("critical_adakv_snapkv", {"scorer": SNAPKV, "allocator": "ada", "weighting": "critical"},
     lambda r: CriticalAdaKVPress(SnapKVPress(r))),
]
MASKING = (AdaKVPress, CriticalAdaKVPress)
GOAL, PREFILL_GOAL = 3.0, {"keydiff": 0.02, "snapkv_kvpress": 0.02}


class Ours:
    """One `kvbench run` a round; its only cell is as small as a sweep allows."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.data = folder / "context.jsonl"
        # Longer than needed, so that the first `length` tokens are one text.
        self.kvbench("generate-task", "ruler", "vt", "--length", args.length * 9 // 8, "--seed", 42,
                     "--samples", 1, "--model", args.model_dir, "--output", self.data)

    def kvbench(self, *words):
        env = {**os.environ, "OMP_NUM_THREADS": str(self.args.threads)}
        subprocess.run([self.args.kvbench, *map(str, words)], env=env, check=True,
                       stdout=subprocess.DEVNULL)

    def text(self):
        return json.loads(self.data.read_text().splitlines()[0])["input"]

    def round(self):
        """{policy: row of /latency}"""
        policies = [ours if isinstance(ours, str) else {"name": name, **ours}
                    for name, ours, _ in self.args.policies]
        config = {
            "name": "compare_kvpress",
            "model": {"path": str(self.args.model_dir), "dtype": self.args.dtype},
            "device": "cpu",
            "threads": self.args.threads,
            "compress": "prompt",
            "chat_template": False,
            "tasks": [{"task": "ruler/vt", "file": str(self.data), "max_new_tokens": 1}],
            "policies": policies,
            "ratios": [self.args.ratio],
            "latency": {"repeats": 1, "warmup": 0, "lengths": [self.args.length],
                        "decode_tokens": 1},
            "output": str(self.folder / "ours.h5"),
        }
        path = self.folder / "ours.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML
        self.kvbench("run", path, "--fresh")
        with h5py.File(config["output"]) as file:
            return {row["policy"].decode(): row for row in file["latency"][:]}


class Peer:
    """One prefill a round and attention implementation, every press called in every layer."""

    def __init__(self, args, tokens):
        self.args, self.tokens = args, tokens
        self.model = AutoModelForCausalLM.from_pretrained(
            args.model_dir, dtype=getattr(torch, args.dtype)).eval()
        self.presses = {name: make(args.ratio) for name, _, make in args.policies}
        for layer in self.model.model.layers:
            layer.self_attn.rotary_emb = self.model.model.rotary_emb  # as BasePress.__call__ does
        for press in self.presses.values():
            press.post_init_from_model(self.model)

    def wants_eager(self, name):
        return isinstance(self.presses[name], ObservedAttentionPress)

    def prefill(self, attention, names):
        """({policy: ms of its press, all layers}, ms of the prefill without them)"""
        spent = dict.fromkeys(names, 0.0)

        def compress(module, _, kwargs, output):
            cache = kwargs["past_key_values"].layers[module.layer_idx]
            for name in names:
                start = time.perf_counter()
                kept = self.presses[name].compress(module, kwargs["hidden_states"], cache.keys,
                                                   cache.values, output[1], kwargs)
                spent[name] += 1e3 * (time.perf_counter() - start)
                del kept

        self.model.set_attn_implementation(attention)
        with contextlib.ExitStack() as hooks, torch.inference_mode():
            for layer in self.model.model.layers:
                hook = layer.self_attn.register_forward_hook(compress, with_kwargs=True)
                hooks.callback(hook.remove)
            start = time.perf_counter()
            self.model(self.tokens, use_cache=True, logits_to_keep=1)
            total = 1e3 * (time.perf_counter() - start)
        return spent, total - sum(spent.values())

    def round(self, number):
        """({policy: ms}, {attention implementation: ms of prefill})"""
        names = list(self.presses)
        turn = number % len(names)
        names = names[turn:] + names[:turn]
        eager = [name for name in names if self.wants_eager(name)]
        spent, prefill = {}, {}
        for attention, some in (("sdpa", [n for n in names if n not in eager]), ("eager", eager)):
            if some or (attention == "sdpa" and eager):
                ms, prefill[attention] = self.prefill(attention, some)
                spent |= ms
        return spent, prefill


def arguments():
    names = [name for name, _, _ in POLICIES]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--kvbench", default=pathlib.Path(__file__).resolve().parents[1] / "kvbench",
                   help="the launcher, or a binary with KVBENCH_ROOT and KVBENCH_DEPS set")
    p.add_argument("--model-dir", type=pathlib.Path, required=True, help="Hugging Face folder")
    p.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--length", type=int, default=4096)
    p.add_argument("--ratio", type=float, default=0.8)
    p.add_argument("--policies", help="some of " + ",".join(names))
    args = p.parse_args()
    wanted = args.policies.split(",") if args.policies else names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        p.error(f"--policies: unknown {', '.join(unknown)}; expected some of {', '.join(names)}")
    args.policies = [policy for policy in POLICIES if policy[0] in wanted]
    return args


def median(rounds, value):
    return statistics.median(value(one) for one in rounds)


def print_table(args, peer, ours, theirs):
    print(f"{args.length} tokens, ratio {args.ratio}, {args.dtype}, {args.threads} thread(s), "
          f"medians of {args.rounds} rounds\n")
    print("| policy | ours ms (score / allocate / compact) | kvpress ms | kvpress / ours "
          "| of our prefill |\n| --- | --- | --- | --- | --- |")
    missed, marks = [], set()
    for name in peer.presses:
        parts = [median(ours, lambda rows: rows[name][part])
                 for part in ("score_ms", "allocate_ms", "compact_ms")]
        total = median(ours, lambda rows: sum(rows[name][part] for part in
                                              ("score_ms", "allocate_ms", "compact_ms")))
        share = total / median(ours, lambda rows: rows[name]["prefill_ms"])
        kvpress, mark = median(theirs, lambda one: one[0][name]), ""
        if peer.wants_eager(name):
            hook, mark = kvpress, "*"
            kvpress += median(theirs, lambda one: one[1]["eager"] - one[1]["sdpa"])
            marks.add(f"\\* {hook:.0f} ms in the press, the rest is what eager attention adds to "
                      "the prefill.")
        elif isinstance(peer.presses[name], MASKING):
            mark = "†"
            marks.add("† masks only: frees nothing, and pays at every later step.")
        print(f"| {name} | {total:.1f} ({' / '.join(f'{part:.1f}' for part in parts)}) "
              f"| {kvpress:.1f}{mark} | {kvpress / total:.1f} | {share:.2%} |")
        if kvpress < GOAL * total:
            missed.append(f"{name} is {kvpress / total:.1f} times as fast, goal {GOAL:.0f}")
        if share > PREFILL_GOAL.get(name, 1):
            missed.append(f"{name} takes {share:.2%} of the prefill, goal {PREFILL_GOAL[name]:.0%}")
    prefill = statistics.median(row["prefill_ms"] for rows in ours for row in rows.values())
    their_prefill = median(theirs, lambda one: one[1]["sdpa"])
    print("", *sorted(marks), sep="\n")
    print(f"Prefill: ours {prefill:.0f} ms, transformers {their_prefill:.0f} ms (sdpa).")
    print("Missed: " + "; ".join(missed) + "." if missed else "Every goal is met.")


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        kvbench = Ours(args, pathlib.Path(folder))
        ids = AutoTokenizer.from_pretrained(args.model_dir)(kvbench.text(), return_tensors="pt")
        peer = Peer(args, ids["input_ids"][:, :args.length])
        peer.round(0)  # warm-up; every run of ours has its own
        ours, theirs = [], []
        for number in range(args.rounds):
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
            ours.append(kvbench.round())
            theirs.append(peer.round(number))
        print_table(args, peer, ours, theirs)


if __name__ == "__main__":
    main()
