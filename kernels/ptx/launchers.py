"""Launchers only put kernels on their stream: they never wait, allocate or copy (kernels/common/stream.h).

    launchers.py FOLDER     build/cuda, with the kernels' objects

It fails if an object refers to a function of the CUDA runtime that is not in the list.
"""

import pathlib
import re
import subprocess
import sys

ALLOWED = re.compile(r"__cuda\w+|cuda(GetLastError|PeekAtLastError|LaunchKernel\w*|FuncSetAttribute|GetDevice|"
                     r"DeviceGetAttribute|MemsetAsync|OccupancyMaxActiveBlocksPerMultiprocessor\w*)")


def main():
    objects = sorted(pathlib.Path(sys.argv[1]).glob("*_cuda.o"))
    wrong = []
    for path in objects:
        symbols = subprocess.run(["nm", "-u", path], capture_output=True, text=True, check=True).stdout
        wrong += [f"{path.name}: {name}" for name in re.findall(r"\bU ((?:__)?cuda\w*)", symbols)
                  if not ALLOWED.fullmatch(name)]
    print("\n".join(wrong + [f"{len(objects)} objects"]))
    return bool(wrong) or not objects


if __name__ == "__main__":
    sys.exit(main())
