"""Draws score against ratio and score against KV bytes out of results files, as PNG and SVG.

    python plots.py --output DIR FILE.h5...

One figure per task, length and compress mode; a line per policy; the bands are 95 % bootstrap
intervals clustered by sample, as in the tables. Failed samples are left out, as there.
"""

import argparse
import pathlib
import re
import sys

import h5py
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the choice of the backend)
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

TEXT_COLUMNS = ["cell_id", "task", "policy", "compress", "error"]
AXES = {
    "ratio": ("ratio", "share of KV entries removed"),
    "bytes": ("mebibytes", "KV cache allocated, MiB per sequence"),
}
RESAMPLES = 2000


def read(path):
    with h5py.File(path, "r") as file:
        rows = pd.DataFrame(file["samples"][:])
        model = file.attrs["model"]
        if not file.attrs["complete"]:
            planned = int(file["cells"]["n_planned"].sum())
            print(f"{path}: incomplete: {len(rows)} of {planned} rows", file=sys.stderr)
    for column in TEXT_COLUMNS:
        rows[column] = rows[column].str.decode("utf-8")
    rows["model"] = model
    return rows[rows["error"] == ""]


def interval(cell):
    """The 95 % interval (low, high) of the mean score of one cell; nan for one context."""
    by_context = cell.groupby("sample_id")["score"].agg(["sum", "count"]).to_numpy()
    if len(by_context) < 2:
        return np.nan, np.nan
    drawn = np.random.default_rng(95).integers(len(by_context), size=(RESAMPLES, len(by_context)))
    sums, counts = by_context[drawn].sum(axis=1).T
    return tuple(np.percentile(sums / counts, [2.5, 97.5]))


def summarise(rows):
    keys = ["model", "task", "max_length", "compress", "policy", "ratio"]
    cells = []
    for key, cell in rows.groupby(keys, sort=False):
        low, high = interval(cell)
        mebibytes = cell["kv_bytes_allocated"].mean() / 2**20
        cells.append((*key, cell["score"].mean(), low, high, mebibytes))
    return pd.DataFrame(cells, columns=[*keys, "score", "low", "high", "mebibytes"])


def draw(cells, x, label, title, colours):
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for policy, line in cells.groupby("policy", sort=False):
        line = line.sort_values(x)
        colour = colours[policy]
        axes.plot(line[x], line["score"], marker="o", color=colour, label=policy)
        axes.fill_between(line[x], line["low"], line["high"], color=colour, alpha=0.12, lw=0)
        if policy == "full":  # the level to compare with, all along
            axes.axhline(line["score"].iloc[0], color=colour, lw=0.8, ls="--")
    axes.set(xlabel=label, ylabel="score, 0 to 100", title=title, ylim=(-2, 102))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="made if missing")
    parser.add_argument("files", nargs="+", type=pathlib.Path, help="results files")
    options = parser.parse_args()

    cells = summarise(pd.concat([read(path) for path in options.files], ignore_index=True))
    if cells.empty:
        sys.exit("no finished sample to draw")
    options.output.mkdir(parents=True, exist_ok=True)
    policies = cells["policy"].unique()
    palette = plt.get_cmap("tab10" if len(policies) <= 10 else "tab20")
    colours = {policy: palette(i % palette.N) for i, policy in enumerate(policies)}
    for key, part in cells.groupby(["model", "task", "max_length", "compress"], sort=False):
        model, task, max_length, compress = key
        title = f"{task}, length {max_length}, compress {compress}\n{model}"
        for name, (x, label) in AXES.items():
            figure = draw(part, x, label, title, colours)
            stem = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{model}_{task}_{max_length}_{compress}_{name}")
            for suffix in ("png", "svg"):
                path = options.output / f"{stem}.{suffix}"
                figure.savefig(path, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
                print(path)
            plt.close(figure)


if __name__ == "__main__":
    main()
