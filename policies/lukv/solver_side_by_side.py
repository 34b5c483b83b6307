#!/usr/bin/env python3
"""Times the LU-KV solver beside a plain Python version of the published step 2, in turn, on the same arrays.

usage: solver_side_by_side.py SOLVER_BENCH [--layers 32] [--heads 8] [--tokens 4096] [--rounds 5]        (numpy)

Both rank the tokens, make the loss curves convex and allocate all 99 ratios; reading and writing files is not timed.
Prints the medians and their ratio, and fails when the two tables differ.
"""

import argparse
import heapq
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy

SINK, WINDOW, RATIOS = 4, 1, range(1, 100)


def convex_marginals(losses):
    """Slopes of the lower hull (monotone chain) of the points (d, losses[d]), one for each discarded token."""
    hull = []
    for d, loss in enumerate(losses):
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2], hull[-1]
            if (x1 - x0) * (loss - y0) > (y1 - y0) * (d - x0):
                break
            hull.pop()
        hull.append((d, loss))
    slopes = numpy.empty(len(losses) - 1, numpy.float32)
    for (x0, y0), (x1, y1) in zip(hull, hull[1:]):
        slopes[x0:x1] = (y1 - y0) / (x1 - x0)
    return slopes


def solve(scores, importance):
    """Discarded tokens [99, L * H]: a heap of every head's next marginal, popped a token at a time."""
    n_tokens = scores.shape[-1]
    free = slice(SINK, n_tokens - WINDOW)
    marginals = []
    for head_scores, head_importance in zip(scores.reshape(-1, n_tokens), importance.reshape(-1, n_tokens)):
        order = numpy.argsort(-head_scores[free], kind="stable")[::-1]
        losses = numpy.concatenate([[0.0], numpy.cumsum(head_importance[free][order], dtype=numpy.float64)])
        marginals.append(convex_marginals(losses.tolist()).tolist())
    most = n_tokens - max(round(0.01 * n_tokens), SINK + WINDOW)
    counts = [0] * len(marginals)
    heap = [(head[0], i) for i, head in enumerate(marginals)]
    heapq.heapify(heap)
    rows, done = [], 0
    for ratio in RATIOS:
        total = round(ratio / 100 * len(marginals) * n_tokens)
        while done < total and heap:
            i = heap[0][1]
            counts[i] += 1
            done += 1
            if counts[i] < most:
                heapq.heapreplace(heap, (marginals[i][counts[i]], i))
            else:
                heapq.heappop(heap)
        rows.append(list(counts))
    return numpy.array(rows, numpy.int32)


def make_arrays(shape):
    """Scores that know something of a long-tailed importance, head by head on its own scale."""
    random = numpy.random.default_rng(42)
    logs = random.normal(size=shape) * 2 + random.normal(size=shape[:2] + (1,))
    scores = logs + random.normal(size=shape) * 2
    return scores.astype(numpy.float32), numpy.exp(logs).astype(numpy.float32)


def main():
    """Runs both in turn; status 1 when they disagree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("solver_bench", type=Path, help="the built executable")
    for name, default in (("layers", 32), ("heads", 8), ("tokens", 4096), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    shape = (arguments.layers, arguments.heads, arguments.tokens)
    scores, importance = make_arrays(shape)
    python_ms, ours_ms = [], []
    with tempfile.TemporaryDirectory() as folder:
        arrays, out = Path(folder) / "arrays", Path(folder) / "table"
        arrays.write_bytes(scores.tobytes() + importance.tobytes())
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            wanted = solve(scores, importance)
            python_ms.append(1000 * (time.perf_counter() - start))
            command = [arguments.solver_bench, arrays, *map(str, shape), str(SINK), str(WINDOW), out]
            ours_ms.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            table = numpy.fromfile(out, numpy.int32).reshape(wanted.shape)
    differing = int((table != wanted).sum())
    python, ours = statistics.median(python_ms), statistics.median(ours_ms)
    print(f"{shape[0]} layers x {shape[1]} heads x {shape[2]} tokens, {arguments.rounds} rounds in turn, medians")
    print(f"Python {python:.0f} ms, kvbench {ours:.2f} ms: {python / ours:.0f} times faster")
    print(f"{differing} of {table.size} counts differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
