#!/usr/bin/env bash
# gpu_check.sh [OPTIONS OF gpu_check/check.py]: builds the operators against a Python's own torch and
# checks them on its GPU. Wants g++, nvcc and a Python with torch 2.11 or later, of one CUDA, and
# nothing else that kvbench is built with. PYTHON names the Python, OUT the folder of what is built
# and of the report.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
out=${OUT:-$root/build-gpu}
say() { printf 'gpu_check: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Folder of torch, its CUDA ("13.2") and the GPU's compute capability without its dot ("" on a CPU).
read -r torch cuda capability < <("$python" - <<'PY'
import os, sys
sys.setdlopenflags(os.RTLD_LAZY)
import torch
have = torch.cuda.is_available()
print(os.path.dirname(torch.__file__), torch.version.cuda or "none",
      "{}{}".format(*torch.cuda.get_device_capability()) if have else "")
PY
) || die "$python cannot import torch"
[ "$cuda" != none ] || die "the torch of $python is built without CUDA"

for nvcc in "$(command -v nvcc)" /usr/local/cuda/bin/nvcc "$torch"/../nvidia/*/bin/nvcc none; do
  if "$nvcc" --version 2>/dev/null | grep -q "release ${cuda%%.*}\\."; then break; fi
done
[ "$nvcc" != none ] ||
  die "no nvcc of CUDA ${cuda%%.*}; harness/toolchain/setup.sh cuda names the wheels of one"
headers=$(dirname "$(readlink -f "$nvcc")")/../include
runtime=$(find "$torch/../nvidia" "$(dirname "$headers")" -name 'libcudart.so.*' -print -quit \
  2>/dev/null || true)
[ -n "$runtime" ] || die "no libcudart.so beside torch or $nvcc"

mkdir -p "$out/objects"
commands=$out/commands
: >"$commands"
objects=()
# compile SOURCE COMMAND...: noted down, when it or a header is newer than the object.
compile() {
  local source=$1 object
  object=$out/objects/$(basename "$source").o
  objects+=("$object")
  if [ -e "$object" ] && [ -z "$(find "$root/kernels" \( -name '*.h' -o -name '*.cuh' -o -path "$source" \) \
    -newer "$object" -print -quit)" ]; then
    return 0
  fi
  printf '%q ' "${@:2}" -c "$source" -o "$object" >>"$commands"
  echo >>"$commands"
}
# As CMakeLists.txt and cuda.cmake have it; the card's own code alone.
cxx=(g++ -std=c++20 -O3 -fPIC -fopenmp -march=native -Wno-psabi "-I$root")
faces=("${cxx[@]}" -isystem "$torch/include" -isystem "$torch/include/torch/csrc/api/include"
  -isystem "$headers")
for source in "$root"/kernels/*/*_cuda.cu; do
  compile "$source" "$nvcc" -std=c++20 -O3 -lineinfo "-I$root" -Xcompiler=-fPIC \
    -gencode "arch=compute_80,code=[compute_80,sm_${capability:-80}]"
done
for source in "$root"/kernels/*/*.cpp; do
  case $source in
    *_test.cpp | *_bench.cpp | */kernels/ptx/* | */kernels/figures/* | */kernels/resources/*) ;;
    *_torch.cpp) compile "$source" "${faces[@]}" ;;
    */norm_rope_*) compile "$source" "${cxx[@]}" -ffp-contract=off ;;
    *) compile "$source" "${cxx[@]}" ;;
  esac
done
say "$(wc -l <"$commands") of ${#objects[@]} files, for sm_${capability:-80} and $torch"
xargs -r -P "$(nproc)" -d '\n' -n 1 bash -c <"$commands"

library=$out/libkvbench_ops.so
g++ -shared -o "$library" "${objects[@]}" "$torch"/lib/libtorch_cpu.so "$torch"/lib/libc10.so \
  "$runtime" -fopenmp -Wl,--no-undefined -Wl,--allow-shlib-undefined
exec "$python" "$root/kernels/gpu_check/check.py" "$library" --out "$out" "$@"
