"""Runs the tests on the PTX engine in several orders of blocks and warps and wants equal bits.

    seeds.py TEST_PROGRAM [--seeds N] [--jobs N]

It fails if a test fails in any order, or if what it reads back from the device differs by a bit.
"""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import tempfile


def run(program, seed):
    """What the program printed if it failed, and the hash of each test."""
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as file:
        done = subprocess.run(
            [program, "--gtest_brief=1"],
            env={**os.environ, "OMP_NUM_THREADS": "1", "KVBENCH_PTX_SEED": str(seed),
                 "KVBENCH_PTX_RESULTS": file.name},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.stdout if done.returncode else "", dict(line.split() for line in file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = list(pool.map(lambda seed: run(options.program, seed), range(options.seeds)))
    failed = False
    for seed, (output, hashes) in enumerate(runs):
        if output:
            failed = True
            print(f"seed {seed}:\n{output}")
        for test, value in hashes.items():
            if runs[0][1].get(test) != value:
                failed = True
                print(f"seed {seed}: {test} gives other bits than with seed 0")
    print(f"{len(runs[0][1])} tests, {options.seeds} seeds")
    sys.exit(failed)


if __name__ == "__main__":
    main()
