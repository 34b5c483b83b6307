#!/usr/bin/env python3
"""Makes the tiny random checkpoints beside this script, with the logits that transformers computes for them.

usage: make_tiny_models.py [--out DIR]        (transformers 5.2 and torch; seconds on one CPU core)

One folder per model family that the C++ loader knows. The weights are random but large, and norms and biases are
random too, so that every mistake a loader or forward pass can make (a swapped head, a missing bias, a wrong RoPE
scaling) moves the logits far beyond rounding. README.md describes the folders.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save

N_TOKENS = 24
N_CONTINUATION = 4

# A continuation is only a fair test if rounding cannot change which token wins.
MIN_MARGIN = 0.05
# Largest float32 error of the stored logits, measured against the same model in float64.
MAX_ROUNDING = 2e-5

BASE = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
    "tie_word_embeddings": False,
}


def rope(theta, **scaling):
    """rope_parameters of a config, unscaled unless a scaling is given."""
    return {"rope_type": "default", "rope_theta": theta, **scaling}


def llama3_rope(factor):
    """Llama 3 scaling whose three frequency bands all occur with head_dim 8.

    The wavelengths are 6, 167, 4443 and 118141 tokens; the bands meet at 256/4 = 64 and 256/1 = 256, so the second
    frequency is in the blended band, and it turns by nearly a radian within the test's tokens.
    """
    scaling = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 256}
    return rope(500000.0, rope_type="llama3", factor=factor, **scaling)


# folder -> (transformers model type, differences from BASE, seed)
FAMILIES = {
    "llama2": ("llama", {"num_key_value_heads": 4, "rope_parameters": rope(10000.0)}, 4),
    "llama31": ("llama", {"rope_parameters": llama3_rope(8.0), "eos_token_id": [2, 3]}, 31),
    "llama32_tied": ("llama", {"rope_parameters": llama3_rope(32.0), "tie_word_embeddings": True}, 33),
    "llama_bias": (
        "llama",
        {"rope_parameters": rope(10000.0), "attention_bias": True, "mlp_bias": True},
        4,
    ),
    # Group size 3 and a single KV head: SmolLM2-135M has 9 query heads on 3.
    "smollm2": (
        "llama",
        {
            "hidden_size": 24,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "rope_parameters": rope(100000.0),
            "tie_word_embeddings": True,
        },
        137,
    ),
    "mistral": ("mistral", {"rope_parameters": rope(1000000.0), "sliding_window": None}, 10),
    # head_dim below hidden_size / heads, as Mistral-Nemo has it.
    "mistral_head_dim": (
        "mistral",
        {"rope_parameters": rope(1000000.0), "sliding_window": None, "head_dim": 4},
        12,
    ),
    "qwen2": (
        "qwen2",
        {"rope_parameters": rope(1000000.0), "rms_norm_eps": 1e-6, "bos_token_id": None},
        21,
    ),
    # head_dim above hidden_size / heads, as the small Qwen3 models have it.
    "qwen3": ("qwen3", {"rope_parameters": rope(1000000.0), "rms_norm_eps": 1e-6, "head_dim": 16}, 30),
}


def randomise(model, seed):
    """Fills every parameter in name order: norms 0.5 to 1.5, matrices and biases with standard deviation 0.3."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            parameter.data = 1.0 + 0.5 * torch.tanh(noise)
        else:
            parameter.data = 0.3 * noise


def build(model_type, overrides, seed):
    """A random float32 model of one family."""
    config = transformers.AutoConfig.for_model(model_type, **{**BASE, **overrides})
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    randomise(model, seed)
    return model.eval()


def token_ids(seed):
    """Random tokens that avoid the special ids 0 to 3."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return torch.randint(4, BASE["vocab_size"], (N_TOKENS,), generator=generator)


@torch.no_grad()
def run(model, tokens):
    """Logits of `tokens`, then greedy steps through the KV cache; end tokens are not honoured.

    continuation_ids[0] is the argmax of the last row of `logits`; continuation_logits[i] are the logits after
    feeding continuation_ids[i] at position T + i.
    """
    output = model(tokens[None], use_cache=True)
    logits, cache = output.logits[0], output.past_key_values
    ids, rows = [], []
    last = logits[-1]
    for _ in range(N_CONTINUATION):
        ids.append(last.argmax())
        last = model(ids[-1].view(1, 1), past_key_values=cache, use_cache=True).logits[0, -1]
        rows.append(last)
    return {
        "token_ids": tokens.to(torch.int32),
        "logits": logits.contiguous(),
        "continuation_ids": torch.stack(ids).to(torch.int32),
        "continuation_logits": torch.stack(rows),
    }


def check(name, model, expected):
    """Refuses a checkpoint that would make a poor test: near ties, flat logits, or much rounding."""
    rows = torch.cat([expected["logits"][-1:], expected["continuation_logits"]])
    top = rows[:N_CONTINUATION].topk(2).values
    margin = (top[:, 0] - top[:, 1]).min().item()
    spread = rows.std(dim=-1).min().item()
    exact = run(model.double(), expected["token_ids"].long())
    model.float()
    keys = ("logits", "continuation_logits")
    rounding = max((expected[key] - exact[key]).abs().max().item() for key in keys)
    print(f"{name:18} greedy margin {margin:.3f}, logit spread {spread:.2f}, rounding {rounding:.1e}")
    if margin < MIN_MARGIN or spread < 0.5 or rounding > MAX_ROUNDING:
        raise SystemExit(f"{name}: not a useful test, change its seed")


def write_tensors(path, tensors):
    """A safetensors file; the library's own save_file makes it unreadable for other users."""
    path.write_bytes(save(tensors, metadata={"format": "pt"}))


def save_checkpoint(model, expected, folder):
    """Writes config.json and model.safetensors as transformers 5 does, and expected.safetensors."""
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_bytes((Path(scratch) / name).read_bytes())
    write_tensors(folder / "expected.safetensors", expected)


def write_json(path, value):
    """JSON in the layout that transformers writes."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def save_transformers4_form(source, folder):
    """The same checkpoint with config.json as transformers 4 wrote it: rope_theta, rope_scaling, torch_dtype."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("model.safetensors", "expected.safetensors"):
        shutil.copyfile(source / name, folder / name)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    scaling = config.pop("rope_parameters")
    config["rope_theta"] = scaling.pop("rope_theta")
    config["rope_scaling"] = scaling
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.43.0"
    # Llama 3.1's published config.json has no head_dim.
    del config["head_dim"]
    write_json(folder / "config.json", config)


def save_sharded(source, folder):
    """The same checkpoint in two shards, cut inside layer 1, with the index file of the hub."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "expected.safetensors"):
        shutil.copyfile(source / name, folder / name)
    tensors = load_file(source / "model.safetensors")
    names = sorted(tensors)
    cut = names.index("model.layers.1.self_attn.k_proj.weight")
    weight_map = {}
    for number, part in enumerate((names[:cut], names[cut:]), start=1):
        shard = f"model-{number:05}-of-00002.safetensors"
        write_tensors(folder / shard, {name: tensors[name] for name in part})
        weight_map.update(dict.fromkeys(part, shard))
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(folder / "model.safetensors.index.json", index)


def verify(folder):
    """Reads a folder back with transformers and compares its logits with the stored ones."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    expected = load_file(folder / "expected.safetensors")
    found = run(model, expected["token_ids"].long())
    for key, value in expected.items():
        # Not bit for bit: where the file puts a tensor in memory changes which instructions a product takes.
        if (found[key] - value).abs().max() > MAX_ROUNDING:
            raise SystemExit(f"{folder.name}: {key} differs after reading the folder back")


def main():
    """Makes and verifies every folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("--out", type=Path, default=here, help="folder to write into (default: beside this script)")
    out = parser.parse_args().out
    torch.set_num_threads(1)  # the order of additions, and so the last bits, depend on it
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name, (model_type, overrides, seed) in FAMILIES.items():
        model = build(model_type, overrides, seed)
        expected = run(model, token_ids(seed))
        check(name, model, expected)
        save_checkpoint(model, expected, out / name)
    save_transformers4_form(out / "llama31", out / "llama31_v4")
    save_sharded(out / "llama32_tied", out / "llama32_tied_sharded")
    for folder in sorted(path.parent for path in out.glob("*/expected.safetensors")):
        verify(folder)


if __name__ == "__main__":
    main()
