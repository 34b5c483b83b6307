"""Vega-Lite charts of a report's data (page_data.h): the page and the plots draw the same ones.

A chart names its rows ({"data": {"name": "scores"}}) and leaves the choice among them to whoever
draws it: `params` are set by the page's controls, or are fixed by `fixed()` for a plot of its own.
Nothing is computed here but where a point stands.
"""

import argparse
import collections
import json
import pathlib
import zlib

# Okabe and Ito's colours that stand out on white, and one of Tol's; black is the full cache.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255"]
DASHES = [[1, 0], [6, 3], [2, 2], [9, 3, 2, 3]]
SHAPES = [  # paths in a square of side 2, as Vega's symbols
    "M-1,0a1,1,0,1,0,2,0a1,1,0,1,0,-2,0",
    "M-.9,-.9h1.8v1.8h-1.8Z",
    "M0,-1L1,.8H-1Z",
    "M0,-1.15L1.15,0L0,1.15L-1.15,0Z",
    "M0,1L1,-.8H-1Z",
    "M-1,-.35h.65v-.65h.7v.65h.65v.7h-.65v.65h-.7v-.65h-.65Z",
    "M1,0L-.8,1V-1Z",
]
SCORE = {"title": "score, 0 to 100", "scale": {"domain": [0, 100]}, "type": "quantitative"}
AXES = {
    "ratio": {"field": "removed", "title": "share of KV entries removed",
              "scale": {"domain": [0, 1]}, "type": "quantitative"},
    "bytes": {"field": "mebibytes", "title": "KV cache allocated, MiB per sequence",
              "type": "quantitative"},
}


def read_page(description):
    """The path of --output, the data of the one argument with what the axes show, and its styles."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("data", type=pathlib.Path, help="as page_data.h says")
    options = parser.parse_args()
    page = json.loads(options.data.read_text())
    prepare(page)
    return options.output, page, styles(page)


def prepare(page):
    """Adds to the rows of scores and choices what the axes show."""
    for row in page["scores"] + page["choices"]:
        # A policy with a budget of its own has no ratio: what it removed stands for it.
        kept = row["kept_ratio"]
        row["removed"] = row["ratio"] if row["ratio"] is not None or kept is None else 1 - kept
        held = row["kv_bytes_allocated"]
        row["mebibytes"] = None if held is None else held / 2**20
    for row in page["scores"]:
        block = page["blocks"][row["block"]]
        row["length"] = block["length"]
        # "length 1024, compress context, ...": blocks that differ in length alone make a curve.
        row["series"] = block["title"].split(", ", 1)[1] if block["length"] else None
    add_fronts(page["choices"])


def add_fronts(rows):
    """Marks the choices that no other of their block beats in both score and TPOT."""
    def beats(a, b):
        return (a["score"] >= b["score"] and a["tpot_ms"] <= b["tpot_ms"]
                and (a["score"], a["tpot_ms"]) != (b["score"], b["tpot_ms"]))

    timed = [row for row in rows if row["tpot_ms"] is not None and row["score"] is not None]
    for row in timed:
        row["front"] = not any(beats(other, row) for other in timed
                               if other["block"] == row["block"])


def styles(page):
    """Colour, dash and symbol of each policy, the best mean score first.

    Which colour depends on the name, so that a policy keeps it from report to report as far as no
    other of the same report wants it too; colours that are used least are taken first, so that up
    to seven policies differ in colour alone.
    """
    scores = collections.defaultdict(list)
    for row in page["choices"]:
        scores[row["policy"]].append(row["score"] if row["score"] is not None else -1)
    used = collections.Counter()
    style_of = {}
    for policy in sorted(scores):
        start = zlib.crc32(policy.encode())
        if policy == "full":
            style_of[policy] = {"colour": "#000000", "dash": DASHES[0], "shape": SHAPES[0]}
            continue
        colour = min(range(len(COLOURS)), key=lambda i: (used[i], (i - start) % len(COLOURS)))
        style_of[policy] = {
            "colour": COLOURS[colour],
            "dash": DASHES[used[colour] % len(DASHES)],
            "shape": SHAPES[(colour + used[colour]) % len(SHAPES)],
        }
        used[colour] += 1
    by_score = sorted(scores, key=lambda policy: (-sum(scores[policy]) / len(scores[policy]),
                                                  policy))
    return [{"policy": policy, **style_of[policy]} for policy in by_score]


def looks(all_styles, legend):
    """The encoding that tells policies apart."""
    def channel(key):
        return {"field": "policy", "type": "nominal", "title": None,
                "scale": {"domain": [style["policy"] for style in all_styles],
                          "range": [style[key] for style in all_styles]},
                "legend": {"symbolSize": 60, "symbolOpacity": 1} if legend else None}
    return {"color": channel("colour"), "shape": channel("shape"),
            "strokeDash": {**channel("dash"), "legend": None}}  # it would dash the symbols' edges


# Policies of one ratio stand side by side, the best on the left, so that none hides another.
ASIDE = {"xOffset": {"expr": "22 * ((indexof(domain('color'), datum.policy) + 0.5)"
                             " / length(domain('color')) - 0.5)"}}


def line(encoding, **place):
    return {"mark": {"type": "line", "strokeWidth": 1.4, "opacity": 0.8, **place},
            "encoding": {key: encoding[key] for key in encoding if key != "shape"}}


def points(encoding, **place):
    return {"mark": {"type": "point", "filled": True, "size": 55, "opacity": 1, **place},
            "encoding": {key: encoding[key] for key in encoding if key != "strokeDash"}}


def intervals(encoding, **place):
    ends = {"y": {**SCORE, "field": "ci_low"}, "y2": {"field": "ci_high"}}
    return {"mark": {"type": "rule", "opacity": 0.4, "strokeWidth": 2, **place},
            "encoding": {"x": encoding["x"], "color": encoding["color"], **ends}}


def tooltip(*more):
    fields = [("policy", None), ("ratio", None), ("task", None), ("score", ".1f"),
              ("ci_low", ".1f"), ("ci_high", ".1f"), ("n", None), *more]
    return [{"field": field, "type": "nominal" if form is None else "quantitative",
             **({"format": form} if form else {})} for field, form in fields]


def chart(data, params, conditions, layers):
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": 320,
        "background": "white",
        "config": {"font": "sans-serif", "view": {"stroke": None},
                   "axis": {"gridOpacity": 0.5, "labelFontSize": 12, "titleFontSize": 12},
                   "legend": {"labelFontSize": 12, "labelLimit": 260}},
        "params": [{"name": name, "value": value} for name, value in params.items()],
        "data": {"name": data},
        "transform": [{"filter": condition} for condition in conditions],
        "layer": layers,
    }


SHOWN = "indexof(hidden, datum.policy) < 0"


def score_chart(all_styles, axis, legend=False):
    encoding = {"x": AXES[axis], "y": {**SCORE, "field": "score"}, **looks(all_styles, legend),
                "tooltip": tooltip(("mebibytes", ".2f"), ("kept_ratio", ".1%"))}
    level = {"transform": [{"filter": "datum.policy == 'full'"}],
             "mark": {"type": "rule", "strokeDash": [3, 3], "opacity": 0.6},
             "encoding": {"y": {**SCORE, "field": "score"}}}
    return chart("scores", {"block": 0, "task": "average", "hidden": []},
                 ["datum.block == block && datum.task == task", "isValid(datum.score)", SHOWN],
                 [level, intervals(encoding, **ASIDE), line(encoding, **ASIDE),
                  points(encoding, **ASIDE)])


def pareto_chart(all_styles, legend=False):
    encoding = {"x": {"field": "tpot_ms", "title": "TPOT, ms", "type": "quantitative",
                      "scale": {"zero": False}},
                "y": {**SCORE, "field": "score"}, **looks(all_styles, legend),
                "tooltip": tooltip(("tpot_ms", ".3f"), ("latency_tokens", None))}
    front = {"transform": [{"filter": "datum.front"}],
             "mark": {"type": "line", "color": "#999999", "interpolate": "step-after"},
             "encoding": {"x": encoding["x"], "y": encoding["y"], "order": {"field": "tpot_ms"}}}
    ratios = {"transform": [{"filter": "datum.front"}],  # more would cover each other
              "mark": {"type": "text", "dx": 8, "align": "left", "fontSize": 10},
              "encoding": {"x": encoding["x"], "y": encoding["y"], "text": {"field": "ratio"}}}
    return chart("choices", {"block": 0, "hidden": []},
                 ["datum.block == block && isValid(datum.tpot_ms) && isValid(datum.score)", SHOWN],
                 [front, intervals(encoding), points(encoding), ratios])


def length_chart(all_styles, lengths, legend=False):
    encoding = {"x": {"field": "length", "title": "length, tokens", "type": "quantitative",
                      "scale": {"type": "log", "base": 2, "nice": False},
                      "axis": {"format": "d",
                               "values": sorted(set().union(*lengths.values()))}},
                "y": {**SCORE, "field": "score"}, **looks(all_styles, legend),
                "tooltip": tooltip(("length", "d"))}
    return chart("scores", {"series": "", "task": "average", "ratio": 0, "hidden": []},
                 ["datum.series == series && datum.task == task && isValid(datum.score)",
                  "datum.ratio == ratio || datum.ratio == 0 || !isValid(datum.ratio)", SHOWN],
                 [intervals(encoding), line(encoding), points(encoding)])


def heads_chart(data):
    """Layer against KV head, by rows of heads()."""
    return chart(data, {}, [], [{
        "mark": {"type": "rect", "tooltip": True},
        "encoding": {
            "x": {"field": "KV head", "type": "ordinal", "axis": {"labelAngle": 0}},
            "y": {"field": "layer", "type": "ordinal", "axis": {"labelOverlap": True}},
            "color": {"field": "kept", "type": "quantitative", "title": "share kept",
                      "scale": {"scheme": "viridis", "domain": [0, 1]}}},
    }])


def heads(budget):
    """The rows of a heads_chart."""
    n_heads = budget["n_kv_heads"]
    return [{"layer": i // n_heads, "KV head": i % n_heads, "kept": round(kept, 4)}
            for i, kept in enumerate(budget["kept"])]


def lengths_of(rows):
    """The lengths of each series that has several."""
    lengths = collections.defaultdict(set)
    for row in rows:
        if row["series"] is not None:
            lengths[row["series"]].add(row["length"])
    return {series: sorted(all_) for series, all_ in lengths.items() if len(all_) > 1}


def fixed(spec, title, rows, **values):
    """The chart of some rows for paper: as wide as a column, its params set."""
    params = [{**param, "value": values.get(param["name"], param["value"])}
              for param in spec["params"]]
    return {**spec, "params": params, "title": "share kept", "width": 480,
            "data": {"values": rows}}
