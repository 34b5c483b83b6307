#!/usr/bin/env python3
"""How near decoding comes to its floor, alone and beside other work, and what prefill and a sweep cost.

    speed_side_by_side.py tpot [--python PYTHON]     TPOT alone beside the time its bytes take
    speed_side_by_side.py busy                       TPOT alone and beside a busy process, in turn
    speed_side_by_side.py prefill --python PYTHON    prefill in turn with transformers
    speed_side_by_side.py size                       wall time of sweeps of some cells and lengths

Prints Markdown tables. kvbench's numbers are isolated measurements (`latency:`), each a process of
its own; a round takes both programs one after the other, and tables hold medians over the rounds.
PYTHON is one with transformers 5 and torch; the model is SmolLM2, or --model DIR.
"""

import argparse
import csv
import io
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
POLICIES = ["keydiff", "snapkv", "knorm", "streaming_llm", "random", "tova", "pyramidkv",
            "expected_attention"]
RATIOS = [0.5, 0.8, 0.9, 0.7, 0.6, 0.4, 0.3, 0.95]


def sweep(options, dtype, **settings):
    """A sweep of one short answer, with `settings`."""
    return {"name": "speed", "device": "cpu", "threads": options.threads, "chat_template": "auto",
            "model": {"path": str(options.model), "dtype": dtype},
            "tasks": [{"task": "ruler/niah_single_1", "lengths": [1024], "samples": 1,
                       "max_new_tokens": 1}], **settings}


def run(options, folder, config):
    """Runs the sweep (JSON is YAML) anew; its results file and the seconds that it took."""
    file = folder / "speed.h5"
    file.unlink(missing_ok=True)
    (folder / "sweep.yaml").write_text(json.dumps({**config, "output": str(file)}))
    start = time.monotonic()
    subprocess.run([options.kvbench, "run", folder / "sweep.yaml"], check=True,
                   stdout=subprocess.DEVNULL)
    return file, time.monotonic() - start


def measured(options, folder, dtype, policies, ratios, **latency):
    """The lines of `report --table latency` of isolated measurements, numbers as numbers."""
    file, _ = run(options, folder, sweep(options, dtype, policies=policies, ratios=ratios,
                                         latency={"repeats": 1, "warmup": 1, **latency}))
    text = subprocess.run([options.kvbench, "report", file, "--table", "latency", "--format", "csv"],
                          check=True, capture_output=True, text=True).stdout
    words = {"policy", "model", "model_hash", "dtype", "numerics", "device", "cpu_name", "gpu_name"}
    return [{name: value if name in words else float(value or "nan")
             for name, value in line.items()} for line in csv.DictReader(io.StringIO(text))]


def peer(options, dtype, tokens, steps):
    """transformers in a process of its own: ms of a prefill and of each decode step."""
    out = subprocess.run([options.python, __file__, "peer", "--model", options.model, "--threads",
                          str(options.threads), "--dtype", dtype, "--tokens", str(tokens),
                          "--steps", str(steps)], check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def run_peer(options):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(options.threads)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, options.dtype))
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(100, 40000, (1, options.tokens), generator=generator)

    def forward(new, cache):
        start = time.monotonic()
        out = model(input_ids=new, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out, 1e3 * (time.monotonic() - start)

    with torch.inference_mode():
        forward(ids[:, :256], None)  # warm-up
        out, prefill_ms = forward(ids, None)
        steps_ms = []
        for _ in range(options.steps):
            out, ms = forward(out.logits[:, -1:].argmax(-1), out.past_key_values)
            steps_ms.append(ms)
    print(json.dumps({"prefill_ms": prefill_ms, "steps_ms": steps_ms}))


def table(header, rows):
    for row in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(str(value) for value in row) + " |")


def show_tpot(options, folder):
    rows = []
    for dtype in options.dtypes:
        lines, peers = [], []
        for _ in range(options.rounds):
            lines.append(measured(options, folder, dtype, ["full", "snapkv"], [0.8], lengths=[2048],
                                  decode_tokens=options.steps))
            if options.python:
                peers.append(statistics.mean(peer(options, dtype, 2048, options.steps)["steps_ms"]))

        def middle(cell, column):
            return statistics.median(round_[cell][column] for round_ in lines)

        # Within a round: the speed-up, and what the bytes allow.
        faster = statistics.median(r[0]["tpot_ms"] / r[1]["tpot_ms"] for r in lines)
        allowed = middle(0, "step_bytes") / middle(1, "step_bytes")
        beside = f"{statistics.median(peers):.1f}" if peers else "-"
        for cell, name in [(0, "full"), (1, "snapkv 0.8")]:
            rows.append([
                dtype, name, f"{middle(cell, 'tpot_ms'):.2f}", f"{middle(cell, 'tpot_p90_ms'):.2f}",
                f"{middle(cell, 'floor_ms'):.2f}",
                f"{statistics.median(r[cell]['tpot_ms'] / r[cell]['floor_ms'] for r in lines):.2f}",
                f"{1e-9 * middle(cell, 'read_bytes_per_s'):.1f}",
                "-" if cell == 0 else f"{faster:.2f} of {allowed:.2f}: {100 * faster / allowed:.0f} %",
                beside if cell == 0 else "-"])
    table(["dtype", "cache", "TPOT ms", "p90", "floor ms", "TPOT / floor", "read GB/s",
           "faster than full", "transformers ms"], rows)


def show_busy(options, folder):
    rows = []
    for dtype in options.dtypes:
        alone, beside = [], []
        for _ in range(options.rounds):
            for is_busy, times in [(False, alone), (True, beside)]:
                busy = is_busy and subprocess.Popen([sys.executable, "-c", "while True: pass"])
                try:
                    line = measured(options, folder, dtype, ["full"], [0.5], lengths=[2048],
                                    decode_tokens=options.steps)[0]
                finally:
                    if busy:
                        busy.kill()
                        busy.wait()
                times.append(line["tpot_ms"])
        ratios = sorted(b / a for a, b in zip(alone, beside))
        rows.append([dtype, f"{statistics.median(alone):.2f}", f"{statistics.median(beside):.2f}",
                     f"{statistics.median(ratios):.2f}", f"{ratios[0]:.2f} to {ratios[-1]:.2f}"])
    table(["dtype", "TPOT ms alone", "beside a busy process", "times as much", "of single rounds"],
          rows)


def show_prefill(options, folder):
    rows = []
    for dtype in options.dtypes:
        for tokens in options.tokens or [2048, 8000]:
            ours, theirs = [], []
            for _ in range(options.rounds):
                line = measured(options, folder, dtype, ["full"], [0.5], lengths=[tokens],
                                decode_tokens=1, warmup=0)[0]
                ours.append(line["prefill_ms"])
                theirs.append(peer(options, dtype, tokens, 0)["prefill_ms"])
            times = statistics.median(b / a for a, b in zip(ours, theirs))
            rows.append([dtype, tokens, f"{1e3 * tokens / statistics.median(ours):.0f}",
                         f"{1e3 * tokens / statistics.median(theirs):.0f}", f"{times:.2f}"])
    table(["dtype", "tokens", "kvbench tokens/s", "transformers tokens/s", "times faster"], rows)


def show_size(options, folder):
    for dtype in options.dtypes:
        rows = []
        for tokens in options.tokens or [1024, 2048, 4096, 8000]:
            seconds = []
            for n in options.cells:
                side = next(i for i in range(1, 9) if i * i >= n)
                config = sweep(options, dtype, policies=POLICIES[:side], ratios=RATIOS[:side])
                config["tasks"][0].update(lengths=[tokens], max_new_tokens=32)
                seconds.append(statistics.median(run(options, folder, config)[1]
                                                 for _ in range(options.rounds)))
            rows.append([tokens, *(f"{s:.1f} s, {s / seconds[0]:.2f}" for s in seconds)])
        table([f"{dtype}, tokens", *(f"{n} cells" for n in options.cells)], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tpot", "busy", "prefill", "size", "peer"])
    parser.add_argument("--python", help="one with transformers")
    parser.add_argument("--kvbench", default=ROOT / "kvbench")
    parser.add_argument("--model", type=pathlib.Path,
                        default=ROOT / ".deps/models/smollm2-135m-instruct")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--dtype", help="of peer")
    parser.add_argument("--tokens", type=int, nargs="+", help="context lengths")
    parser.add_argument("--steps", type=int, default=64, help="decode steps")
    parser.add_argument("--cells", type=int, nargs="+", default=[1, 4, 16, 64], help="squares")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.what == "peer":
        options.tokens = options.tokens[0]
        return run_peer(options)
    if options.what == "prefill" and not options.python:
        parser.error("prefill needs --python")
    with tempfile.TemporaryDirectory() as folder:
        show = {"tpot": show_tpot, "busy": show_busy, "prefill": show_prefill, "size": show_size}
        show[options.what](options, pathlib.Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
