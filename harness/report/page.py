"""Makes one self-contained HTML page of a report.

    python page.py --output OUT.html data.json

The page holds its data, its script, Vega-Lite's and its style: it asks no network for anything.
"""

import json
import pathlib
import string

import charts
import vl_convert

HERE = pathlib.Path(__file__).parent / "page"


def main():
    output, page, styles = charts.read_page(__doc__.splitlines()[0])
    page["styles"] = styles
    page["lengths"] = charts.lengths_of(page["scores"])
    page["charts"] = {
        "ratio": charts.score_chart(styles, "ratio"),
        "bytes": charts.score_chart(styles, "bytes"),
        "tpot": charts.pareto_chart(styles),
        "length": charts.length_chart(styles, page["lengths"]),
        "budgets": charts.heads_chart("budgets"),
        "needle": charts.heads_chart("needle"),
    }
    template = string.Template((HERE / "page.html").read_text())
    escape = str.maketrans({"<": "&lt;", "&": "&amp;"})
    html = template.substitute(
        title=page["title"].translate(escape),
        style=(HERE / "page.css").read_text(),
        # Inside a script element no "<" of a text may end it.
        data=json.dumps(page, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        library=vl_convert.javascript_bundle().replace("</script", "<\\/script"),
        script=(HERE / "page.js").read_text(),
    )
    output.write_text(html)
    print(output)


if __name__ == "__main__":
    main()
