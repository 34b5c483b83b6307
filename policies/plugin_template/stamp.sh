#!/usr/bin/env bash
# What a plug-in must be built against to fit, as one hash: the headers that it sees and LibTorch's version.
# usage: stamp.sh TORCH_INCLUDE     CMake calls it for kvbench, build.sh for a plug-in
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
{
  cat policies/*.h harness/base/{error,params,registry,names}.h
  cat "$1/torch/headeronly/version.h"
} | sha256sum | cut -d' ' -f1
