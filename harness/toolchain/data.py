"""Makes a data set's folder of files that the Hugging Face Hub has in another form:

    data.py CONVERSION SNAPSHOT FILE ... --output FOLDER
            --hub ORG/NAME --revision COMMIT --version N

FILEs are relative to SNAPSHOT, FOLDER is there and empty. The last file is manifest.json, with
names, sizes and SHA-256 of what was read and made. Prints one line that says what is wrong with a
file, and exits with 2; the files are other people's.
"""
import argparse
import contextlib
import errno
import hashlib
import json
import lzma
import sys
import zipfile
import zlib
from pathlib import Path

MOST_BYTES = 8 << 30  # of all files in a zip; LongBench's have some hundred MB

LONGBENCH_E = ["qasper", "multifieldqa_en", "hotpotqa", "2wikimqa", "gov_report", "multi_news",
               "trec", "triviaqa", "samsum", "passage_count", "passage_retrieval_en", "lcc",
               "repobench-p"]
LONGBENCH = [*LONGBENCH_E, "narrativeqa", "multifieldqa_zh", "musique", "dureader", "qmsum",
             "vcsum", "lsht", "passage_retrieval_zh"]
RULER = ["niah_single_1", "niah_single_2", "niah_single_3", "niah_multikey_1", "niah_multikey_2",
         "niah_multikey_3", "niah_multivalue", "niah_multiquery", "vt", "cwe", "fwe", "qa_1",
         "qa_2"]


class Refused(Exception):
    """What kvbench prints: one line."""


def damaged(file, error):
    """A file of the cache: fetching again needs it gone."""
    return Refused(f"{file} is damaged ({error}): remove {file.resolve()} and give the same "
                   "command again")


# ---- LongBench: a zip of data/NAME.jsonl ---------------------------------------------------------

def check_names(file, members):
    for member in members:
        name = member.filename
        is_link = member.external_attr >> 16 & 0o170000 == 0o120000
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or is_link:
            raise Refused(f"{file}: it holds {name!r}, which would lead out of its folder")


def longbench(files, output):
    wanted = {f"data/{name}.jsonl" for name in LONGBENCH}
    wanted |= {f"data/{name}_e.jsonl" for name in LONGBENCH_E}
    for file in files:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                check_names(file, members)
                found = {member.filename: member for member in members if member.filename in wanted}
                if lost := sorted(wanted - found.keys()):
                    raise Refused(f"{file}: expected {lost[0]} in it; {len(lost)} of {len(wanted)} "
                                  "files are not there")
                size = sum(member.file_size for member in found.values())
                if size > MOST_BYTES:
                    raise Refused(f"{file}: its files have {size} bytes, expected at most "
                                  f"{MOST_BYTES}")
                for name, member in found.items():
                    unpack(archive, member, output / Path(name).name)
        # RuntimeError: encrypted; NotImplementedError: a method of compression that Python lacks
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
                RuntimeError) as e:
            raise damaged(file, e) from e


def unpack(archive, member, file):
    with archive.open(member) as source, file.open("wb") as target:
        while block := source.read(1 << 20):
            target.write(block)


# ---- Parquet files -------------------------------------------------------------------------------

def rows(files, columns):
    """(place, row) of each row, in order."""
    import pyarrow
    from pyarrow import parquet
    for file in files:
        n = 0
        try:
            with parquet.ParquetFile(file) as table:
                for batch in table.iter_batches(batch_size=64, columns=columns):
                    for row in batch.to_pylist():
                        n += 1
                        yield f"{file}: row {n}", row
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as e:
            if isinstance(e, OSError) and e.errno is not None:
                raise
            raise damaged(file, e) from e


def value(place, row, path, kind):
    """The value at a dotted path; `kind` is str, or the list [kind of its items]."""
    found = row
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if not is_a(found, kind):
        raise Refused(f"{place}: {path}: expected {described(kind)}, got {type(found).__name__}")
    return found


def is_a(found, kind):
    if isinstance(kind, list):
        return isinstance(found, list) and all(is_a(item, kind[0]) for item in found)
    return isinstance(found, kind)


def described(kind):
    if isinstance(kind, list):
        return f"a list ({described(kind[0])} each)"
    return {str: "a text", int: "an integer"}[kind]


def same_length(place, *lists):
    if len({len(items) for items in lists}) != 1:
        raise Refused(f"{place}: expected lists of one length, got {[len(x) for x in lists]}")
    return zip(*lists)


def squad(files, output):
    """Rows of one paragraph follow each other, and paragraphs of one article."""
    articles = []
    for place, row in rows(files, ["id", "title", "context", "question", "answers"]):
        title, context = value(place, row, "title", str), value(place, row, "context", str)
        answers = [{"text": text, "answer_start": start} for text, start in same_length(
            place, value(place, row, "answers.text", [str]),
            value(place, row, "answers.answer_start", [int]))]
        if not articles or articles[-1]["title"] != title:
            articles.append({"title": title, "paragraphs": []})
        paragraphs = articles[-1]["paragraphs"]
        if not paragraphs or paragraphs[-1]["context"] != context:
            paragraphs.append({"context": context, "qas": []})
        paragraphs[-1]["qas"].append({
            "question": value(place, row, "question", str), "id": value(place, row, "id", str),
            "answers": answers, "is_impossible": not answers})
    write_json({"version": "v2.0", "data": articles}, articles, output / "dev-v2.0.json", files)


def hotpotqa(files, output):
    questions = []
    for place, row in rows(files, ["id", "question", "answer", "type", "level", "supporting_facts",
                                   "context"]):
        question = {"_id": value(place, row, "id", str)}
        for key in ("question", "answer", "type", "level"):
            question[key] = value(place, row, key, str)
        question["supporting_facts"] = [list(fact) for fact in same_length(
            place, value(place, row, "supporting_facts.title", [str]),
            value(place, row, "supporting_facts.sent_id", [int]))]
        question["context"] = [list(document) for document in same_length(
            place, value(place, row, "context.title", [str]),
            value(place, row, "context.sentences", [[str]]))]
        questions.append(question)
    write_json(questions, questions, output / "hotpot_dev_distractor_v1.json", files)


def write_json(content, items, file, sources):
    if not items:
        raise Refused(f"{sources[0]}: there are no rows in it")
    with file.open("w") as target:
        json.dump(content, target)


def ruler(files, output):
    """One file for each task; kvpress cut RULER's `input` into context and question."""
    counts = {}
    with contextlib.ExitStack() as stack:
        targets = {}
        columns = ["context", "question", "answer_prefix", "answer", "task"]
        for place, row in rows(files, columns):
            task = value(place, row, "task", str)
            if task not in RULER:
                raise Refused(f"{place}: task: expected one of {', '.join(RULER)}, got {task!r}")
            if task not in targets:
                (output / task).mkdir()
                targets[task] = stack.enter_context((output / task / "validation.jsonl").open("w"))
            context, question = (value(place, row, key, str) for key in columns[:2])
            record = {"index": counts.get(task, 0), "input": context + question,
                      "outputs": value(place, row, "answer", [str]),
                      "answer_prefix": value(place, row, "answer_prefix", str)}
            counts[task] = record["index"] + 1
            targets[task].write(json.dumps(record) + "\n")
    if lost := [task for task in RULER if task not in counts]:
        raise Refused(f"{files[0]}: there are no rows of {', '.join(lost)} in it")


# ---- the manifest --------------------------------------------------------------------------------

def described_files(folder, names):
    files = []
    for name in names:
        sha256, size = hashlib.sha256(), 0
        with (folder / name).open("rb") as opened:
            while block := opened.read(1 << 20):
                sha256.update(block)
                size += len(block)
        files.append({"name": name, "bytes": size, "sha256": sha256.hexdigest()})
    return files


def main():
    conversions = {f.__name__: f for f in (longbench, squad, hotpotqa, ruler)}
    parser = argparse.ArgumentParser()
    parser.add_argument("conversion", choices=conversions)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--version", type=int, required=True)
    args = parser.parse_args()
    try:
        conversions[args.conversion]([args.snapshot / name for name in args.files], args.output)
        made = sorted(str(file.relative_to(args.output)) for file in args.output.rglob("*.json*"))
        manifest = {"hub": args.hub, "revision": args.revision, "convert": args.conversion,
                    "version": args.version,
                    "sources": described_files(args.snapshot, args.files),
                    "files": described_files(args.output, made)}
        (args.output / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    except (Refused, OSError) as e:
        line = str(e)
        if isinstance(e, OSError):
            full = e.errno in (errno.ENOSPC, errno.EDQUOT)
            line = (f"the disk of {args.output} is full" if full
                    else f"{e.filename or args.output}: {e.strerror or e}")
        print(" ".join("".join(c if c.isprintable() else " " for c in line).split()))
        sys.exit(2)


if __name__ == "__main__":
    main()
