"""Bytes that the CUDA kernels move at fixed shapes, against what was recorded.

    figures.py PROGRAM              a Markdown table; 1 when a figure has grown
    figures.py PROGRAM --record     takes what is there now as what is allowed

PROGRAM is build/kernel_figures, which counts on the kernels' PTX. Guarded are the distinct bytes, at
least moved by DRAM, the sectors of all requests, and the wavefronts of shared memory. More than 1% on
top of the recorded figure fails, and so does an operator that is not recorded. The counts are those of
one compiler's PTX: another release may need a record of its own.
"""

import argparse
import json
import pathlib
import subprocess
import sys

RECORDED = pathlib.Path(__file__).parent / "recorded.json"
GUARDED = ("distinct_bytes", "sector_bytes", "shared_wavefronts")


def table(figures):
    print("| operator | launches | minimal kB | distinct kB | distinct / minimal | sectors kB "
          "| asked / sectors | flops a byte | shared wavefronts / ideal |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
    for name, f in figures.items():
        ideal = f["shared_ideal_wavefronts"]
        print(f"| {name} | {f['launches']} | {f['minimal_bytes'] / 1e3:.1f} "
              f"| {f['distinct_bytes'] / 1e3:.1f} | {f['distinct_bytes'] / f['minimal_bytes']:.2f} "
              f"| {f['sector_bytes'] / 1e3:.1f} | {f['asked_bytes'] / f['sector_bytes']:.2f} "
              f"| {f['flops'] / f['minimal_bytes']:.1f} "
              f"| {f['shared_wavefronts'] / ideal if ideal else 1:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    done = subprocess.run([options.program], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        return done.returncode
    figures = {f["operator"]: f for f in map(json.loads, done.stdout.splitlines())}
    table(figures)
    if options.record:
        lines = [f' "{name}": ' + json.dumps({k: v for k, v in f.items() if k != "operator"})
                 for name, f in sorted(figures.items())]
        RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    recorded = json.loads(RECORDED.read_text())
    wrong = [f"{name}: not recorded" for name in figures.keys() - recorded.keys()]
    wrong += [f"{name}: recorded, but not measured" for name in recorded.keys() - figures.keys()]
    for name in figures.keys() & recorded.keys():
        wrong += [f"{name}: {key} {figures[name][key]}, recorded {recorded[name][key]}"
                  for key in GUARDED if figures[name][key] > 1.01 * recorded[name][key]]
    print("\n".join(sorted(wrong)))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
