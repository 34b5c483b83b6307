"""Registers, spills, shared memory and occupancy of the CUDA kernels, as ptxas reported them.

    python resources.py build/cuda/*.o            a Markdown table; 1 when a kernel has grown
    python resources.py build/cuda/*.o --record   takes what is there now as what is allowed
    python resources.py --occupancy PROGRAM       our occupancy against cuda_occupancy.h

A kernel fails that has no launch bounds, spills registers on sm_80 or sm_90, uses more registers
there than recorded.json allows, or is not recorded. The record is of one compiler, known by its
version of PTX: another's registers are not compared. PROGRAM is occupancy.cpp.
"""

import argparse
import itertools
import json
import pathlib
import re
import subprocess
import sys

RECORDED = pathlib.Path(__file__).with_name("recorded.json")
GUARDED = ("sm_80", "sm_90")

# Of a multiprocessor: warps, blocks, bytes of shared memory (CUDA C++ Programming Guide, "Technical
# Specifications per Compute Capability").
LIMITS = {
    "sm_80": (64, 32, 164 << 10),
    "sm_86": (48, 16, 100 << 10),
    "sm_89": (48, 24, 100 << 10),
    "sm_90": (64, 32, 228 << 10),
    "sm_100": (64, 32, 228 << 10),
}


def up(x, unit):
    return -(-x // unit) * unit


def blocks_per_sm(arch, registers, threads, shared_bytes):
    """Blocks that fit a multiprocessor at once."""
    max_warps, max_blocks, sm_shared_bytes = LIMITS[arch]
    warps = -(-threads // 32)
    # Each of 4 partitions has a quarter of 65536 registers and gives them to a warp by 256.
    warps_by_registers = 4 * (16384 // up(registers * 32, 256))
    # The system keeps 1 KiB of every block; shared memory is given by 128 bytes.
    return min(
        max_blocks,
        max_warps // warps,
        warps_by_registers // warps,
        sm_shared_bytes // up(shared_bytes + 1024, 128),
    )


def demangle(names):
    text = subprocess.run(
        ["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True
    ).stdout
    return [short_name(name) for name in text.splitlines()]


def short_name(name):
    """`gated_activation_kernel<float, 0, true>` of a demangled signature."""
    for word in ("void ", "kvbench::", "(anonymous namespace)::"):
        name = name.replace(word, "")
    name = re.sub(r"\((?:bool|int|long|unsigned int|[\w:]*Kind)\)(?=\w)", "", name)
    return name.split("(")[0]


def read_kernels(objects):
    """By "operator: kernel" its threads and archs, by arch what it uses; and the version of PTX."""
    kernels, versions = {}, set()
    for path in sorted(objects):
        operator = path.name.removesuffix("_cuda.o")
        code = path.read_bytes()  # its PTX in plain text
        versions.update(re.findall(rb"\.version (\d+\.\d+)", code))
        threads = {
            name.decode(): int(x) * int(y) * int(z)
            for name, x, y, z in re.findall(
                rb"\.entry (\w+)\([^)]*\)\s*\.maxntid (\d+), (\d+), (\d+)", code
            )
        }
        log = path.with_name(path.name + ".ptxas").read_text()
        entries = re.split(r"Compiling entry function '", log)[1:]
        mangled = [re.match(r"(\w+)' for '(\w+)'", entry).groups() for entry in entries]
        for entry, (symbol, arch), name in zip(entries, mangled, demangle(m for m, _ in mangled)):
            stack, stores, loads = map(
                int,
                re.search(
                    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads",
                    entry,
                ).groups(),
            )
            shared = re.search(r"(\d+) bytes smem", entry)
            name = f"{operator}: {name}"
            of = kernels.setdefault(name, {"threads": threads.get(symbol), "archs": {}})
            of["archs"][arch] = {
                "registers": int(re.search(r"Used (\d+) registers", entry)[1]),
                "spill": stores + loads,
                "stack": stack,
                "shared": int(shared[1]) if shared else 0,
            }
    if len(versions) != 1:
        sys.exit(f"expected objects with PTX of one version, got {sorted(versions)}")
    return kernels, versions.pop().decode()


def table(kernels):
    """Blocks and warps of a multiprocessor are those that launch bounds and static memory allow."""
    lines = [
        "| kernel | GPU | threads | registers | spilled bytes | stack bytes | static shared bytes "
        "| blocks | warps | occupancy |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for name, kernel in sorted(kernels.items()):
        for arch, used in kernel["archs"].items():
            threads = kernel["threads"]
            blocks = warps = share = "-"
            if threads is not None and arch in LIMITS:
                blocks = blocks_per_sm(arch, used["registers"], threads, used["shared"])
                warps = blocks * -(-threads // 32)
                share = f"{100 * warps / LIMITS[arch][0]:.0f}%"
            lines.append(
                f"| `{name}` | {arch} | {threads} | {used['registers']} | {used['spill']} "
                f"| {used['stack']} | {used['shared']} | {blocks} | {warps} | {share} |"
            )
    return "\n".join(lines)


def findings(kernels, allowed):
    """What is wrong, a line each. `allowed`: registers by kernel and arch; None compares none."""
    for name, kernel in sorted(kernels.items()):
        if kernel["threads"] is None:
            yield f"{name}: no launch bounds"
        if allowed is not None and name not in allowed:
            yield f"{name}: not recorded"
        for arch in GUARDED:
            used = kernel["archs"].get(arch)
            if used is None:
                continue
            if used["spill"]:
                yield f"{name}: {used['spill']} bytes spilled on {arch}"
            recorded = (allowed or {}).get(name, {}).get(arch, used["registers"])
            if used["registers"] > recorded:
                yield f"{name}: {used['registers']} registers on {arch}, recorded {recorded}"
    for name in sorted((allowed or {}).keys() - kernels.keys()):
        yield f"{name}: recorded, but there is no such kernel"


def record(version, kernels):
    lines = [
        f"  {json.dumps(name)}: "
        + json.dumps({arch: kernel["archs"][arch]["registers"] for arch in GUARDED})
        for name, kernel in sorted(kernels.items())
    ]
    text = ",\n".join(lines)
    RECORDED.write_text(f'{{\n "ptx": "{version}",\n "registers": {{\n{text}\n }}\n}}\n')


def check_occupancy(program):
    cases = [
        (arch, *case)
        for arch in LIMITS
        for case in itertools.product(
            (1, 16, 31, 32, 33, 40, 64, 80, 96, 128, 168, 200, 255),  # registers
            (32, 64, 96, 128, 160, 256, 384, 512, 768, 1024),  # threads
            (0, 16, 3168, 20000, 48 << 10, 99 << 10),  # bytes of shared memory
        )
    ]
    lines = "".join(
        f"{arch[3:]} {LIMITS[arch][0]} {LIMITS[arch][2]} {registers} {threads} {shared}\n"
        for arch, registers, threads, shared in cases
    )
    told = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    wanted = [int(line) for line in told.stdout.split()]
    wrong = [
        f"{case}: {blocks_per_sm(*case)} blocks, cuda_occupancy.h {blocks}"
        for case, blocks in zip(cases, wanted, strict=True)
        if blocks_per_sm(*case) != blocks
    ]
    print("\n".join(wrong[:10] + [f"{len(cases)} cases, {len(wrong)} differ"]))
    return bool(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("objects", nargs="*", type=pathlib.Path, help="beside what ptxas said")
    parser.add_argument("--record", action="store_true", help="rewrites recorded.json")
    parser.add_argument("--occupancy", metavar="PROGRAM", help="compares with cuda_occupancy.h")
    options = parser.parse_args()
    if options.occupancy:
        return check_occupancy(options.occupancy)
    kernels, version = read_kernels(options.objects)
    if options.record:
        record(version, kernels)
    recorded = json.loads(RECORDED.read_text())
    print(table(kernels))
    compares = version == recorded["ptx"]
    if not compares:
        print(f"registers are of PTX {version}, recorded ones of {recorded['ptx']}: not compared")
    wrong = list(findings(kernels, recorded["registers"] if compares else None))
    if wrong:
        print("\n".join(["", *wrong, "what is meant is taken with --record"]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
