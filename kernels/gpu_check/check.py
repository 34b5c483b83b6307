"""The operators on a device: right against formulas in double, and how fast.

    python check.py LIBRARY [--device cuda] [--out FOLDER] [--only OPERATOR ...]

LIBRARY is libkvbench_ops.so; gpu_check.sh builds it where there is a GPU and little else. Writes
FOLDER/gpu_check.json and FOLDER/gpu_check.md; 1 when an operator is wrong, 77 without a usable
torch. `--device cpu` runs the same checks on the CPU's implementations, at smaller sizes.

An operator is one class (operators.py); step.py is a decode step of them, as a CUDA graph beside its
single launches.
"""

import argparse
import importlib
import json
import os
import pathlib
import statistics
import sys
import time

# As in torch_ops_test.py: CUDA's libraries may be empty stand-ins.
sys.setdlopenflags(os.RTLD_LAZY)
try:
    import torch
except ImportError as error:
    print(f"skipped: `import torch` fails ({error}); `./kvbench test` installs what it needs")
    sys.exit(77)

import inputs
import step
from operators import OPERATORS

for subject in ("scores", "attention", "selection", "caches", "layers"):
    importlib.import_module(subject)

# ---- checks --------------------------------------------------------------------------------------


def fresh(entry, arguments):
    """The arguments, those that are changed in place copied."""
    return tuple(
        x.clone() if i in entry.changed and x is not None else x for i, x in enumerate(arguments)
    )


def deviation(got, want, tolerance):
    """The worst, 1 being what is tolerated; infinite where shapes or integers differ."""
    if got.shape != want.shape:
        return float("inf")
    if not want.is_floating_point() or want.dtype != torch.double:  # integers, and copies of bytes
        same = torch.equal(torch.nan_to_num(got), torch.nan_to_num(want.to(got.dtype)))
        return 0.0 if same else float("inf")
    relative, absolute = tolerance
    off = (got.double() - want).abs() / (relative * want.abs() + absolute)
    return float(torch.nan_to_num(off, nan=float("inf")).max()) if off.numel() else 0.0


def check(entry, dtype):
    """{cases, worst}; worst above 1 is wrong. Run twice: the bits must be the same."""
    torch.manual_seed(11)
    n_cases, worst = 0, 0.0
    for arguments in entry.cases(dtype):
        once, twice = fresh(entry, arguments), fresh(entry, arguments)
        got = entry.outputs(once, entry.run(once))
        again = entry.outputs(twice, entry.run(twice))
        want = entry.expected(*arguments)
        want = want if isinstance(want, tuple) else (want,)
        for a, b, x in zip(got, again, want, strict=True):
            same = torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
            worst = max(worst, deviation(a, x, entry.tolerance(dtype)) if same else float("inf"))
        n_cases += 1
    return {"cases": n_cases, "worst": worst}


# ---- timing --------------------------------------------------------------------------------------


def time_cold_us(call, n_repeats=20):
    """The median of calls that find nothing in the L2 cache."""
    call()
    if inputs.device.type == "cpu":
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            call()
            times.append((time.perf_counter() - begin) * 1e6)
        return statistics.median(times)
    # Wiping takes longer than the host needs for a call, so the device never waits for the host.
    wiped = torch.empty(1 << 29, dtype=torch.uint8, device=inputs.device)
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(n_repeats)]
    for begin, end in events:
        wiped.zero_()
        begin.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(begin.elapsed_time(end) * 1e3 for begin, end in events)


def time_host_us(call, n_calls=50):
    """Of a call's way to its launches, which the device does not hold up."""
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(n_calls):
        call()
    us = (time.perf_counter() - begin) * 1e6 / n_calls
    torch.cuda.synchronize()
    return us


def runtime_calls(call):
    """How often the CUDA runtime launched, and waited or copied to the host."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as told:
        call()
    counts = {event.key: event.count for event in told.key_averages()}
    launches = sum(n for key, n in counts.items() if "LaunchKernel" in key)
    # The profiler itself waits for the device once, when it ends.
    waits = sum(n for key, n in counts.items() if "Synchronize" in key or "DtoH" in key)
    return launches, waits - counts.get("cudaDeviceSynchronize", 0)


def is_captured(entry, arguments):
    """Whether a CUDA graph of the call gives what the call gives."""
    eager, graphed = fresh(entry, arguments), fresh(entry, arguments)
    want = entry.outputs(eager, entry.run(eager))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = entry.run(graphed)
    graph.replay()
    torch.cuda.synchronize()
    got = entry.outputs(graphed, results)
    return all(torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) for a, b in zip(got, want))


def measure(entry, dtype, copy_gb_s):
    torch.manual_seed(12)
    arguments = entry.large(dtype, False)
    results = entry.run(arguments)

    def call():
        entry.run(arguments)

    us = time_cold_us(call)
    gb_s = entry.n_bytes(arguments, results) / us / 1e3
    row = {"us": us, "gb_s": gb_s, "of_copy": gb_s / copy_gb_s}
    if (flops := entry.n_flops(arguments)) is not None:
        row["tflop_s"] = flops / us / 1e6
    if inputs.device.type == "cuda":
        launches, syncs = runtime_calls(call)
        row |= {"host_us": time_host_us(call), "launches": launches, "syncs": syncs}
        row["captured"] = is_captured(entry, next(iter(entry.cases(dtype))))
    if entry.ragged:
        uneven = entry.large(dtype, True)
        uneven_results = entry.run(uneven)
        uneven_us = time_cold_us(lambda: entry.run(uneven))
        of_bytes = entry.n_bytes(uneven, uneven_results) / entry.n_bytes(arguments, results)
        row["straggler"] = uneven_us / us / of_bytes
    return row


def copy_bandwidth_gb_s():
    source = torch.ones(
        (1 << 28) if inputs.device.type == "cuda" else (1 << 25), device=inputs.device
    )
    to = torch.empty_like(source)
    return 2 * source.nbytes / time_cold_us(lambda: to.copy_(source)) / 1e3


# ---- report --------------------------------------------------------------------------------------


def registered():
    """Our operators with a CUDA kernel: they serve all devices, where others name the CPU. Their
    forms that write into given tensors, NAME.out, are those of the decode step."""
    names = [n for n in torch._C._dispatch_get_all_op_names() if n.startswith("kvbench::")]
    names = [n for n in names if "." not in n]
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    return {n.removeprefix("kvbench::") for n in names if not has_kernel(n, "CPU")}


def markdown(report):
    def cell(value, form="{}"):
        return "-" if value is None else form.format(value)

    lines = [
        f"{report['device']}, torch {report['torch']}; copy {report['copy_gb_s']:.0f} GB/s",
        "",
        "`off`: the worst deviation from double, 1 being what is tolerated. `GB/s`: bytes that must",
        "be moved by definition, in a call with a cold L2 cache; `of copy`: over a plain copy's.",
        "`straggler`: time of ragged lengths over that of equal ones, of the same bytes.",
        "",
        "| operator | dtype | cases | off | us | GB/s | of copy | TFLOP/s | straggler | host us "
        "| launches | syncs | graph |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |",
    ]
    for row in report["rows"]:
        columns = [
            row["operator"],
            row["dtype"],
            cell(row.get("cases")),
            cell(row.get("worst"), "{:.2f}"),
            cell(row.get("us"), "{:.1f}"),
            cell(row.get("gb_s"), "{:.0f}"),
            cell(row.get("of_copy"), "{:.2f}"),
            cell(row.get("tflop_s"), "{:.2f}"),
            cell(row.get("straggler"), "{:.2f}"),
            cell(row.get("host_us"), "{:.1f}"),
            cell(row.get("launches")),
            cell(row.get("syncs")),
            cell(row.get("captured")),
        ]
        lines.append("| " + " | ".join(columns) + " |")
    lines += [
        "",
        "A decode step of 4 sequences in a small decoder, launched one by one and as one CUDA graph.",
        "",
        "| dtype | same tokens | launches | us | us as a graph |",
        "| --- | --- | --: | --: | --: |",
    ]
    for row in report["steps"]:
        columns = [row["dtype"], row.get("same"), row.get("launches")]
        times = [cell(row.get(key), "{:.0f}") for key in ("eager_us", "graph_us")]
        lines.append("| " + " | ".join([*map(cell, columns), *times]) + " |")
    return (
        "\n".join([*lines, "", *(f"- WRONG: {finding}" for finding in report["findings"])]) + "\n"
    )


def check_steps(report):
    on_gpu = inputs.device.type == "cuda"
    for dtype in (torch.float32, torch.bfloat16, torch.float16) if on_gpu else (torch.float32,):
        row = {"dtype": str(dtype).removeprefix("torch.")}
        where = f"decode step, {row['dtype']}"
        report["steps"].append(row)
        try:
            told = step.check(dtype)
            if on_gpu:
                row["launches"], row["syncs"] = runtime_calls(told.pop("run"))
            row |= told
        except Exception as error:  # the rest of the report is wanted all the same
            report["findings"].append(
                f"{where}: {type(error).__name__}: {str(error).splitlines()[0]}"
            )
            continue
        if not row["same"]:
            report["findings"].append(f"{where}: other tokens in a CUDA graph")
        for key in ("syncs", "allocations"):
            if row.get(key):
                report["findings"].append(f"{where}: {row[key]} {key}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("library", type=pathlib.Path)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--only", nargs="*", help="these operators")
    options = parser.parse_args()
    inputs.device = torch.device(options.device)
    if inputs.device.type == "cuda":
        if not torch.cuda.is_available():
            sys.exit("gpu_check: torch finds no GPU; --device cpu tries the rest")
        torch.cuda.set_device(inputs.device.index or 0)
    torch.ops.load_library(str(options.library.resolve()))

    report = {
        "device": (
            torch.cuda.get_device_name(inputs.device) if inputs.device.type == "cuda" else "CPU"
        ),
        "torch": torch.__version__,
        "copy_gb_s": copy_bandwidth_gb_s(),
        "rows": [],
        "steps": [],
        "findings": [],
    }
    names = registered()
    report["findings"] += [f"{name}: no check" for name in sorted(names - OPERATORS.keys())]
    for name, entry in OPERATORS.items():
        if options.only and name not in options.only:
            continue
        if name not in names:
            report["findings"].append(f"{name}: not in the library")
            continue
        for dtype in entry.dtypes:
            row = {"operator": name, "dtype": str(dtype).removeprefix("torch.")}
            where = f"{name}, {row['dtype']}"
            report["rows"].append(row)
            try:
                row |= check(entry, dtype)
                if not row["worst"] <= 1:
                    report["findings"].append(
                        f"{where}: off by {row['worst']:.3g} times the tolerance"
                    )
                row |= measure(entry, dtype, report["copy_gb_s"])
            except Exception as error:  # the other operators' figures are wanted all the same
                report["findings"].append(
                    f"{where}: {type(error).__name__}: {str(error).splitlines()[0]}"
                )
            if row.get("syncs"):
                report["findings"].append(f"{where}: waits for the device {row['syncs']} times")
            if row.get("captured") is False:
                report["findings"].append(f"{where}: other results in a CUDA graph")
    if not options.only:
        check_steps(report)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu_check.json").write_text(json.dumps(report, indent=1) + "\n")
    text = markdown(report)
    (options.out / "gpu_check.md").write_text(text)
    print(text)
    return bool(report["findings"])


if __name__ == "__main__":
    sys.exit(main())
