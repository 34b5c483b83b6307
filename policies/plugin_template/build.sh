#!/usr/bin/env bash
# Builds a policy of your own into a shared library that kvbench loads without a rebuild.
# usage: build.sh FILE.cpp [OUT.so]      (OUT.so defaults to FILE.so beside it)
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
source=${1:?usage: build.sh FILE.cpp [OUT.so]}
out=${2:-${source%.cpp}.so}
torch=$(echo "${KVBENCH_DEPS:-$root/.deps}"/venv/lib/python3*/site-packages/torch/include)
[ -d "$torch" ] || { echo "build.sh: call ./kvbench once first, it installs LibTorch" >&2; exit 1; }
stamp=$("$root/policies/plugin_template/stamp.sh" "$torch")
exec "${CXX:-c++}" -std=c++20 "-DKVBENCH_PLUGIN_STAMP=\"$stamp\"" -O3 -fPIC -shared -fopenmp -I"$root" \
  -isystem "${KVBENCH_BUILD:-$root/build}/include_first" \
  -isystem "$torch" -isystem "$torch/torch/csrc/api/include" "$source" -o "$out"
