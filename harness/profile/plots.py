"""Draws the budgets and the gap report of LU-KV profiles, as PNG and SVG.

    python plots.py --output DIR PROFILE.h5...

For each scorer a heat map of the share that every layer and KV head keeps at 50, 80 and 90 % and,
where the gap has been measured, its losses against the ratio.
"""

import argparse
import pathlib
import sys

import h5py

sys.path.append(str(pathlib.Path(__file__).parents[1] / "report"))
import charts  # noqa: E402
import figures  # noqa: E402

RATIOS = [0.5, 0.8, 0.9]
# Columns of the gap dataset that are drawn (harness/profile/profile_data.h), and their names.
GAP = {4: "uniform (J3)", 7: "profile (J6)", 8: "profile's curves (J6)", 9: "online (J6)",
       5: "greedy on this context (J4)", 2: "oracle (J1)"}


def budgets(table, title):
    """table: prune ratios [99, L, H]"""
    maps = []
    for ratio in RATIOS:
        kept = 1 - table[round(100 * ratio) - 1]
        rows = [{"layer": layer, "KV head": head, "kept": float(kept[layer, head])}
                for layer in range(kept.shape[0]) for head in range(kept.shape[1])]
        spec = charts.fixed(charts.heads_chart("budgets"), f"{ratio:.0%} removed", rows)
        maps.append({**spec["layer"][0], "data": spec["data"], "title": spec["title"],
                     "width": 150, "height": 10 * kept.shape[0] + 60})
    return {"$schema": spec["$schema"], "background": "white", "title": title, "hconcat": maps}


def gap(values, title):
    rows = [{"removed": float(row[0]), "lost": 100 * float(row[column]), "allocation": name}
            for row in values for column, name in GAP.items()]
    encoding = {"x": charts.AXES["ratio"],
                "y": {"field": "lost", "type": "quantitative", "title": "importance lost, %"},
                "color": {"field": "allocation", "type": "nominal", "title": None,
                          "scale": {"domain": list(GAP.values()),
                                    "range": charts.COLOURS[:len(GAP)]}}}
    return charts.fixed(charts.chart("gap", {}, [], [
        charts.line(encoding), charts.points(encoding)]), title, rows)


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
                drawn = {"budgets": budgets(group["table"][:], title)}
                if "gap" in group:
                    drawn["gap"] = gap(group["gap"][:], title)
                for kind, spec in drawn.items():
                    figures.save(spec, args.output / f"{path.stem}_{scorer}_{kind}")


if __name__ == "__main__":
    main()
