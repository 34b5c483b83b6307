"""Small files in the forms of the hub's data sets, for data_test.cpp:

    data_files.py hub FOLDER                         data sets for hub_server.py
    data_files.py zip FILE [--extra NAME] [--bytes N]   LongBench's zip; also with another member

Every LongBench file is one line {"set": "NAME"}.
"""
import argparse
import json
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

sys.path.insert(0, str(Path(__file__).parents[1] / "toolchain"))
from data import LONGBENCH, LONGBENCH_E, RULER

COMMITS = {"datasets/zai-org/LongBench": "5e628be450b7e67fb7ae6e201bd6d8f7056f7672",
           "datasets/rajpurkar/squad_v2": "3ffb306f725f7d2ce8394bc1873b24868140c412",
           "datasets/hotpotqa/hotpot_qa": "1908d6afbbead072334abe2965f91bd2709910ab",
           "datasets/simonjegou/ruler": "24adceac8a0e6532936e8d721cd9e9084d2e4686"}


def zip_file(file, extra=None, n_bytes=10):
    with zipfile.ZipFile(file, "w") as archive:
        for name in [*LONGBENCH, *(f"{name}_e" for name in LONGBENCH_E)]:
            archive.writestr(f"data/{name}.jsonl", json.dumps({"set": name}) + "\n")
        if extra:
            archive.writestr(extra, b"x" * n_bytes)


def table(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), file)


def squad_row(number, title, context, answers):
    return {"id": f"q{number}", "title": title, "context": context, "question": f"Why {number}?",
            "answers": {"text": [text for text, _ in answers],
                        "answer_start": [start for _, start in answers]}}


def ruler_rows(tasks):
    return [{"context": f"the {task} text {i}\n", "question": "What is it? ",
             "answer_prefix": "It is", "answer": [f"a{i}", "\u00fc"], "task": task,
             "max_new_tokens": 128} for i in range(2) for task in tasks]


def hub(folder):
    folder = folder / "datasets"
    longbench = folder / "zai-org/LongBench"
    longbench.mkdir(parents=True)
    zip_file(longbench / "data.zip", "__MACOSX/data/._lcc.jsonl")
    (longbench / "README.md").write_text("not for us")
    squad = folder / "rajpurkar/squad_v2/squad_v2"
    table(squad / "validation-00000-of-00001.parquet", [
        squad_row(0, "Zoo", "A lion.", [("lion", 2), ("A lion", 0)]),
        squad_row(1, "Zoo", "A lion.", []),
        squad_row(2, "Zoo", "A gnu \u2028 two.", [("gnu", 2)]),
        squad_row(3, "Art", "A gnu \u2028 two.", [("two", 8)])])
    table(squad / "train-00000-of-00001.parquet", [{"not": "for us"}])
    table(folder / "hotpotqa/hotpot_qa/distractor/validation-00000-of-00001.parquet", [
        {"id": "5a", "question": "Who?", "answer": "Ann", "type": "bridge", "level": "hard",
         "supporting_facts": {"title": ["T", "U"], "sent_id": [1, 0]},
         "context": {"title": ["T", "U"], "sentences": [["One.", " Two."], ["Three."]]}}])
    # A task's rows are in both parts.
    table(folder / "simonjegou/ruler/4096/test-00000-of-00002.parquet", ruler_rows(RULER))
    table(folder / "simonjegou/ruler/4096/test-00001-of-00002.parquet", ruler_rows(RULER[:1]))
    table(folder / "simonjegou/ruler/8192/test-00000-of-00001.parquet",
          ruler_rows([*RULER[1:], "../niah_single_1"]))
    (folder.parent / "commits").write_text(json.dumps(COMMITS))


parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["hub", "zip"])
parser.add_argument("target", type=Path)
parser.add_argument("--extra")
parser.add_argument("--bytes", type=int, default=10)
args = parser.parse_args()
if args.what == "hub":
    hub(args.target)
else:
    zip_file(args.target, args.extra, args.bytes)
