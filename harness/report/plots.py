"""Draws a report's charts as PNG and SVG.

    python plots.py --output DIR data.json

For every block of the report and every task, and for the average over tasks, score against ratio
and against bytes; score against TPOT where it was measured; score against length for every ratio
where there are several lengths; the budgets of policies that spread them over layers and heads.
"""

import re

import charts
import figures


def main():
    output, page, styles = charts.read_page(__doc__.splitlines()[0])

    def save(spec, *name):
        stem = re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(str(part) for part in name))
        figures.save(spec, output / stem)

    scores = [row for row in page["scores"] if row["score"] is not None]
    parts = {}
    for row in scores:
        parts.setdefault((row["block"], row["task"]), []).append(row)
    n_tasks = {}
    for block, task in parts:
        n_tasks[block] = n_tasks.get(block, 0) + 1
    for (block, task), rows in parts.items():
        if task == "average" and n_tasks[block] == 2:  # it is the one task
            continue
        title = [f"{task}, {page['blocks'][block]['title']}", page["blocks"][block]["model"]]
        here = [style for style in styles if style["policy"] in {row["policy"] for row in rows}]
        for axis in charts.AXES:
            spec = charts.score_chart(here, axis, legend=True)
            save(charts.fixed(spec, title, rows, block=block, task=task), block + 1, task, axis)
    timed = [row for row in page["choices"] if row["tpot_ms"] is not None]
    for block in sorted({row["block"] for row in timed}):
        rows = [row for row in timed if row["block"] == block]
        title = [f"Score and TPOT, {page['blocks'][block]['title']}",
                 page["blocks"][block]["model"]]
        save(charts.fixed(charts.pareto_chart(styles, legend=True), title, rows, block=block),
             block + 1, "tpot")
    lengths = charts.lengths_of(scores)
    for i, series in enumerate(lengths):
        for ratio in sorted({row["ratio"] for row in scores if row["ratio"]}):
            title = [f"Average, {100 * ratio:g} % removed", series]
            spec = charts.length_chart(styles, lengths, legend=True)
            save(charts.fixed(spec, title, scores, series=series, ratio=ratio), "length", i + 1,
                 ratio)
    for budget in page["budgets"]:
        block = budget["block"]
        title = [f"{budget['policy']}, ratio {budget['ratio']}", page["blocks"][block]["title"]]
        save(charts.fixed(charts.heads_chart("budgets"), title, charts.heads(budget)), block + 1,
             budget["policy"], budget["ratio"], "budgets")


if __name__ == "__main__":
    main()
