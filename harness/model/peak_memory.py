#!/usr/bin/env python3
"""Peak resident memory of kvbench reading one model and one context.

usage: peak_memory.py MODEL [--dtype D] [--tokens N]      MODEL as `./kvbench inspect --model` takes it
       peak_memory.py --random [--tokens N]               random weights of Llama-3.2-1B's shape, bfloat16

Prints the peak in MiB, its libraries included, beside the bytes of the weights as they are held, of the
full cache, and the peak of a model of 75 kB: that of the program's start, which gives a part of it back.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "harness/model/testdata/llama31"
MIB = 1 << 20


def write_random_model(folder):
    layers, hidden, inner, heads, kv_heads, d, vocab = 16, 2048, 8192, 32, 8, 64, 128256
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "vocab_size": vocab, "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "head_dim": d, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 5e5,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16"}))
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for name, shape in {
                "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,),
                "self_attn.q_proj": (heads * d, hidden), "self_attn.k_proj": (kv_heads * d, hidden),
                "self_attn.v_proj": (kv_heads * d, hidden), "self_attn.o_proj": (hidden, heads * d),
                "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden),
                "mlp.down_proj": (hidden, inner)}.items():
            shapes[at + name + ".weight"] = shape
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    generator = np.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            values = generator.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
            file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())


def peak(model, tokens, dtype, out):
    """MiB, and the full cache's MiB, of a process of its own."""
    words = [str(ROOT / "kvbench"), "inspect", "--model", str(model), "--tokens", str(tokens),
             "--policy", "full", "--ratio", "0", "--dtype", dtype, "--output", str(out)]
    code = ("import resource, subprocess, sys; r = subprocess.run(sys.argv[1:], capture_output=True, text=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); print(r.stdout or r.stderr);"
            "sys.exit(r.returncode)")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    kib, said = done.stdout.split("\n", 1)
    cache = int(said.split(" bytes allocated")[0].split()[-1])
    return int(kib) / 1024, cache / MIB


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?")
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--tokens", type=int, default=300)
    given = parser.parse_args()
    if bool(given.model) == given.random:
        parser.error("give a model, or --random")
    subprocess.run([str(ROOT / "kvbench"), "list", "policies"], stdout=subprocess.DEVNULL, check=True)  # built
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = given.model
        if given.random:
            model = folder / "model"
            model.mkdir()
            write_random_model(model)
        ids = folder / "context.ids"
        ids.write_text("".join(f"{i % 90 + 1}\n" for i in range(given.tokens)))
        few = folder / "few.ids"
        few.write_text("1\n2\n")
        checked = subprocess.run([str(ROOT / "kvbench"), "model", "check", str(model), "--dtype", given.dtype],
                                 capture_output=True, text=True).stdout
        weights = next(int(line.split()[1]) for line in checked.splitlines() if line.startswith("loaded")) / MIB
        empty, _ = peak(TINY, few, "float32", folder / "tiny.h5")
        used, cache = peak(model, ids, given.dtype, folder / "out.h5")
        print(f"weights {weights:.0f} MiB, cache {cache:.0f} MiB, peak {used:.0f} MiB = "
              f"{(used - cache) / weights:.3f} x weights + cache; without a model {empty:.0f} MiB")


if __name__ == "__main__":
    main()
