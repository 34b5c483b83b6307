"""Draws the budgets and the gap report of LU-KV profiles, as PNG and SVG.

    python plots.py --output DIR PROFILE.h5...

For each scorer a heat map of the share that every layer and KV head keeps at 50, 80 and 90 % and,
where the gap has been measured, its losses against the ratio.
"""

import argparse
import pathlib
import sys

import h5py
import matplotlib

matplotlib.use("Agg")
sys.path.append(str(pathlib.Path(__file__).parents[1] / "report"))
import figures  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402  (after the choice of the backend)

RATIOS = [0.5, 0.8, 0.9]
# Columns of the gap dataset that are drawn (harness/profile/profile_data.h), and their names.
GAP = {4: "uniform (J3)", 7: "profile (J6)", 8: "profile's curves (J6)", 9: "online (J6)",
       5: "greedy on this context (J4)", 2: "oracle (J1)"}


def draw_budgets(table, title):
    """table: prune ratios [99, L, H]"""
    figure, axes = plt.subplots(1, len(RATIOS), figsize=(7.5, 6), layout="constrained", sharey=True)
    for axis, ratio in zip(axes, RATIOS):
        kept = 1 - table[round(100 * ratio) - 1]
        image = axis.imshow(kept, aspect="auto", vmin=0, vmax=1, cmap="viridis")
        axis.set(xlabel="KV head", title=f"{ratio:.0%} removed", xticks=range(kept.shape[1]))
    axes[0].set_ylabel("layer")
    figure.colorbar(image, ax=axes, label="share of tokens kept")
    figure.suptitle(title)
    return figure


def draw_gap(gap, title):
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for column, label in GAP.items():
        axes.plot(gap[:, 0], 100 * gap[:, column], marker="o", label=label)
    axes.set(xlabel="share of KV entries removed", ylabel="importance lost, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="made if missing")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for path in args.files:
        with h5py.File(path, "r") as file:
            n = len(file["entries"])
            for scorer, group in file.items():
                if scorer == "entries":
                    continue
                title = f"{path.stem}: {scorer}, {n} questions"
                drawn = {"budgets": draw_budgets(group["table"][:], title)}
                if "gap" in group:
                    drawn["gap"] = draw_gap(group["gap"][:], title)
                for kind, figure in drawn.items():
                    figures.save(figure, args.output / f"{path.stem}_{scorer}_{kind}")
                    plt.close(figure)


if __name__ == "__main__":
    main()
