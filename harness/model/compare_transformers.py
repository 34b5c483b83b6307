#!/usr/bin/env python3
"""Random checkpoints of every model family through kvbench and through transformers: are the logits the same?

usage: compare_transformers.py [KIND] [--configs N] [--seed S] [--kvbench PROGRAM]

KIND is `families` (llama, mistral, qwen2, qwen3 of full attention) or `windows` (sliding windows of
mistral, qwen2, qwen3, and gemma3_text). Needs a Python with transformers 5, torch and h5py. Each
checkpoint has random sizes, GQA groups, biases, tied or own heads, and RoPE of any type; its
config.json is written in the form of transformers 5 or 4. The last logits of contexts of two lengths
are compared, by `kvbench inspect`. Prints the largest difference a family, and every checkpoint that
differs by more than 1e-4 or is refused; status 1 = there is one.
"""
import argparse
import collections
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import torch
import transformers

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY = 96
MOST = 1e-4


def randomise(model):
    """Norms 0.5 to 1.5 (of Gemma what they have above 1), biases 0.3, matrices so that sums keep their size.

    Larger ones would let rounding grow from layer to layer, smaller ones hide mistakes.
    """
    gemma = "gemma" in model.config.model_type
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape)
        if "norm" in name:
            parameter.data = (0.0 if gemma else 1.0) + 0.5 * torch.tanh(noise)
        elif parameter.dim() == 2:
            parameter.data = noise / parameter.shape[1] ** 0.5
        else:
            parameter.data = 0.3 * noise


def random_rope(draw, head_dim, positions):
    """rope_parameters of any type that kvbench has, and the positions that they leave."""
    theta = float(draw.choice([100, 10000, 100000, 500000, 1000000]))
    kind = draw.choice(["default", "default", "linear", "dynamic", "yarn", "llama3"])
    rope = {"rope_type": kind, "rope_theta": theta}
    if kind == "dynamic" and head_dim < 4:
        return random_rope(draw, head_dim, positions)
    if kind != "default":
        rope["factor"] = float(draw.choice([2, 4, 8]))
    if kind == "yarn":
        rope["original_max_position_embeddings"] = positions // int(rope["factor"])
        if draw.random() < 0.5:
            rope.update(beta_fast=float(draw.choice([4, 16, 32])), beta_slow=float(draw.choice([1, 2])))
        if draw.random() < 0.3:
            rope["truncate"] = False
        if draw.random() < 0.3:
            rope["attention_factor"] = draw.choice([0.9, 1.2])
    if kind == "llama3":
        low = float(draw.choice([1, 2]))
        rope.update(low_freq_factor=low, high_freq_factor=low * draw.choice([2.0, 4.0]))
        rope["original_max_position_embeddings"] = draw.choice([16, 64, 256])
    return rope


def random_sizes(draw):
    """What all families have."""
    kv_heads, group = draw.choice([1, 2, 3]), draw.choice([1, 2, 3, 4])
    head_dim = draw.choice([4, 8, 16, 24])
    positions = draw.choice([64, 128])
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": draw.choice([kv_heads * group * head_dim, draw.choice([16, 24, 40])]),
        "intermediate_size": draw.choice([12, 20, 48]),
        "num_hidden_layers": draw.choice([1, 2, 3]),
        "num_attention_heads": kv_heads * group,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "max_position_embeddings": positions,
        "rms_norm_eps": draw.choice([1e-5, 1e-6]),
        "bos_token_id": 1,
        "eos_token_id": draw.choice([2, [2, 3]]),
        "pad_token_id": None,
        "tie_word_embeddings": draw.random() < 0.5,
        "rope_parameters": random_rope(draw, head_dim, positions),
    }


def random_family(draw):
    sizes = random_sizes(draw)
    family = draw.choice(["llama", "mistral", "qwen2", "qwen3"])
    if family == "llama":
        sizes.update(attention_bias=draw.random() < 0.3, mlp_bias=draw.random() < 0.3)
    if family == "mistral":
        sizes["sliding_window"] = None
    if family == "qwen2":  # takes no head_dim of its own
        sizes["hidden_size"] = sizes.pop("head_dim") * sizes["num_attention_heads"]
    if family == "qwen3":
        sizes["attention_bias"] = draw.random() < 0.3
    return family, sizes


def random_windows(draw):
    sizes = random_sizes(draw)
    family = draw.choice(["mistral", "qwen2", "qwen3", "gemma3_text", "gemma3_text"])
    sizes["sliding_window"] = draw.choice([2, 5, 7, 16, 33])
    layers = sizes["num_hidden_layers"] = draw.choice([2, 3, 4])
    kinds = [draw.choice(["sliding_attention", "full_attention"]) for _ in range(layers)]
    if family == "qwen2":
        sizes["hidden_size"] = sizes.pop("head_dim") * sizes["num_attention_heads"]
    if family in ("qwen2", "qwen3"):
        sizes["use_sliding_window"] = True
        if draw.random() < 0.5:
            sizes["layer_types"] = kinds
        else:
            sizes["max_window_layers"] = draw.randrange(layers + 1)
    if family == "gemma3_text":
        sizes.pop("tie_word_embeddings")
        sizes.update(layer_types=kinds, query_pre_attn_scalar=draw.choice([8, 24, 256]))
        whole = {"rope_type": "default", "rope_theta": 1e6}
        if draw.random() < 0.5:
            whole = {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}
        sizes["rope_parameters"] = {
            "full_attention": whole,
            "sliding_attention": {"rope_type": "default", "rope_theta": draw.choice([1e4, 500.0])},
        }
    return family, sizes


def as_transformers4(config, family):
    """config.json as transformers 4 wrote it: rope_theta, rope_scaling, torch_dtype."""
    config = dict(config)
    rope = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype", "float32")
    if family == "gemma3_text":
        whole = dict(rope["full_attention"])
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    else:
        whole = dict(rope)
    config["rope_theta"] = whole.pop("rope_theta")
    config["rope_scaling"] = None if whole["rope_type"] == "default" else whole
    return config


@torch.no_grad()
def difference(family, overrides, old_form, program, folder, draw):
    """The largest difference of the last logits over two contexts."""
    torch.manual_seed(draw.randrange(1 << 30))
    config = transformers.AutoConfig.for_model(family, **json.loads(json.dumps(overrides)))
    model = transformers.AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, attn_implementation="eager"
    )
    randomise(model)
    model.eval().save_pretrained(folder)
    if old_form:
        path = folder / "config.json"
        path.write_text(json.dumps(as_transformers4(json.loads(path.read_text()), family)))
    worst = 0.0
    for length in (draw.randrange(1, 12), draw.randrange(12, 60)):
        ids = [draw.randrange(4, VOCABULARY) for _ in range(length)]
        (folder / "context.ids").write_text("".join(f"{i}\n" for i in ids))
        output = folder / "out.h5"
        output.unlink(missing_ok=True)
        done = subprocess.run(
            [program, "inspect", "--model", folder, "--tokens", folder / "context.ids", "--policy", "full",
             "--ratio", "0", "--dtype", "float32", "--device", "cpu", "--output", output],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            return float("inf"), done.stderr.strip()
        with h5py.File(output) as file:
            ours = torch.from_numpy(file["logits_last"][:])
        # A short context alone: dynamic scaling looks at the length of the whole forward pass.
        theirs = model(torch.tensor([ids])).logits[0, -1]
        worst = max(worst, (ours - theirs).abs().max().item())
    return worst, ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", nargs="?", default="families", choices=["families", "windows"])
    parser.add_argument("--configs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kvbench", default=ROOT / "kvbench")
    options = parser.parse_args()
    torch.set_num_threads(1)
    make = {"families": random_family, "windows": random_windows}[options.kind]

    worst, count, bad = collections.Counter(), collections.Counter(), 0
    for i in range(options.configs):
        draw = random.Random(f"{options.kind} {options.seed} {i}")
        family, overrides = make(draw)
        old_form = draw.random() < 0.5
        with tempfile.TemporaryDirectory() as folder:
            off, why = difference(family, overrides, old_form, options.kvbench, Path(folder), draw)
        form = "4" if old_form else "5"
        label = f"{family}, {overrides['rope_parameters'].get('rope_type', 'by layer')}, form {form}"
        count[label] += 1
        worst[label] = max(worst[label], off)
        if not off <= MOST:
            bad += 1
            print(f"{i}: {label}: {off:g} {why} {json.dumps(overrides)}", flush=True)
    for label in sorted(count):
        print(f"{label:40} {count[label]:4} checkpoints, largest difference {worst[label]:.1e}")
    print(f"{options.configs - bad} of {options.configs} within {MOST:g}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
