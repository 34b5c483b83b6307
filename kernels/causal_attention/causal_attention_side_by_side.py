#!/usr/bin/env python3
"""A prefill's attention and LibTorch's, in turn: processor time of the fastest of several runs.

usage: causal_attention_side_by_side.py LIBRARY [--threads N]

LIBRARY is build/libkvbench_ops.so; needs a Python with torch of the version that it was built
against. SmolLM2's heads: 9 on 3 of 64.
"""
import argparse
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("library")
parser.add_argument("--threads", type=int, default=1)
options = parser.parse_args()
torch.ops.load_library(options.library)
torch.set_num_threads(options.threads)

for dtype in (torch.float32, torch.bfloat16):
    for n_tokens in (1024, 2048, 4096, 8192):
        query = torch.randn(n_tokens, 9, 64).to(dtype).transpose(0, 1)
        keys, values = (torch.randn(3, n_tokens, 64).to(dtype) for _ in range(2))
        ways = {
            "kvbench": lambda: torch.ops.kvbench.causal_attention(query, keys, values, 0.125, 0),
            "LibTorch": lambda: torch.nn.functional.scaled_dot_product_attention(
                query[None], keys[None], values[None], is_causal=True, enable_gqa=True
            ),
        }
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(7):
            for name, run in ways.items():
                start = time.process_time()
                run()
                best[name] = min(best[name], time.process_time() - start)
        ratio = best["LibTorch"] / best["kvbench"]
        times = ", ".join(f"{name} {1000 * t:.1f} ms" for name, t in best.items())
        print(f"{str(dtype)[6:]:9} {n_tokens:5} tokens: {times}, {ratio:.2f} times")
