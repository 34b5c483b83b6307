"""Draws score against ratio and score against KV bytes, as PNG and SVG.

    kvbench report FILE.h5... --table cells --format csv > cells.csv
    python plots.py --output DIR cells.csv

One figure per block of the report (model, length, seed, ...) and task; a line per policy; the bands
are the report's 95 % intervals.
"""

import argparse
import pathlib
import re
import sys

import figures
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the choice of the backend)
import pandas as pd  # noqa: E402

AXES = {
    "ratio": ("removed", "share of KV entries removed"),
    "bytes": ("mebibytes", "KV cache allocated, MiB per sequence"),
}


def read(path):
    cells = pd.read_csv(path)
    # A policy with a budget of its own has no ratio: what it removed stands for it.
    cells["removed"] = cells["ratio"].fillna(1 - cells["kept_ratio"])
    cells["mebibytes"] = cells["kv_bytes_allocated"] / 2**20
    return cells[cells["mean"].notna()]


def draw(cells, x, label, title, colours):
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for policy, line in cells.groupby("policy", sort=False):
        line = line.sort_values(x)
        colour = colours[policy]
        axes.plot(line[x], line["mean"], marker="o", color=colour, label=policy)
        axes.fill_between(line[x], line["ci_low"], line["ci_high"], color=colour, alpha=0.12, lw=0)
        if policy == "full":  # the level to compare with, all along
            axes.axhline(line["mean"].iloc[0], color=colour, lw=0.8, ls="--")
    axes.set(xlabel=label, ylabel="score, 0 to 100", title=title, ylim=(-2, 102))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="made if missing")
    parser.add_argument("cells", type=pathlib.Path, help="CSV of `kvbench report --table cells`")
    options = parser.parse_args()

    cells = read(options.cells)
    if cells.empty:
        sys.exit("no finished sample to draw")
    options.output.mkdir(parents=True, exist_ok=True)
    policies = cells["policy"].unique()
    palette = plt.get_cmap("tab10" if len(policies) <= 10 else "tab20")
    colours = {policy: palette(i % palette.N) for i, policy in enumerate(policies)}
    for (block, task), part in cells.groupby(["block", "task"], sort=False):
        model, what = part["model"].iloc[0], part["block_title"].iloc[0]
        for name, (x, label) in AXES.items():
            figure = draw(part, x, label, f"{task}, {what}\n{model}", colours)
            stem = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{block}_{task}_{name}")
            figures.save(figure, options.output / stem)
            plt.close(figure)


if __name__ == "__main__":
    main()
