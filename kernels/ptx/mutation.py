"""Drops the barriers of the CUDA kernels line by line and wants the PTX engine to find each missing.

    mutation.py TEST_PROGRAM [--jobs N]

A line is a __syncthreads(), __syncwarp() or wait of cp.async in the source. For each one the tests
that execute it run without it (KVBENCH_PTX_DROP). It fails if the engine finds nothing, wrong numbers
alone do not count, or if no test executes the line. A barrier that can go without a finding is either
not needed or not tested.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile


def run(program, tests, **environment):
    command = [program, "--gtest_brief=1", "--gtest_filter=" + ":".join(tests)]
    if tests != ["*"]:
        command.append("--gtest_fail_fast")
    return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def barrier_lines(program):
    """Place of each line -> the tests that execute it."""
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as file:
        done = run(program, ["*"], KVBENCH_PTX_BARRIERS=file.name)
        if done.returncode != 0:
            sys.exit(f"{done.stdout}\nthe tests fail with all barriers in place")
        lines = {}
        for line in file:
            place, *test = line.split()
            lines.setdefault(place, []).extend(test)
    return lines


def drop(program, place, tests):
    """What is wrong with the tests of this line, or None and what was found."""
    if not tests:
        return "no test executes it", ""
    done = run(program, tests, KVBENCH_PTX_DROP=place)
    findings = re.search(r"^(\d+) findings$", done.stdout, re.M)
    if findings:
        return None, re.search(r"^(.*) in \S+.* at kernels/", done.stdout, re.M)[1]
    return "dropped without a finding" + (", numbers wrong" if done.returncode else ""), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    lines = barrier_lines(options.program)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = {place: pool.submit(drop, options.program, place, tests)
                for place, tests in lines.items()}
        for place, job in work.items():
            wrong, found = job.result()
            failed += wrong is not None
            print(f"{place}: {wrong or found}", flush=True)
    print(f"{len(lines) - failed} of {len(lines)} barrier lines found when dropped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
