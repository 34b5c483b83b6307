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


def yarn_rope(**more):
    """YaRN as Qwen 2.5 and 3 have it, stretched fourfold from 8 positions."""
    return rope(1000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=8, **more)


SMALL = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 32,
    "tie_word_embeddings": True,
}

# Two local layers, a global one, a local one; attention is not scaled by the head size.
GEMMA3 = {
    **{key: value for key, value in BASE.items() if key != "tie_word_embeddings"},
    **SMALL,
    "num_hidden_layers": 4,
    "rms_norm_eps": 1e-6,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "query_pre_attn_scalar": 24,
    "sliding_window": 7,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
    "rope_parameters": {
        "full_attention": rope(1000000.0, rope_type="linear", factor=8.0),
        "sliding_attention": rope(10000.0),
    },
}

# The smallest eye that transformers builds; no test looks through it.
VISION = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "image_size": 28,
    "patch_size": 14,
}


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
    # Small ones of one form of RoPE each; the prompt is longer than the positions they were trained on.
    "rope_linear": ("llama", {**SMALL, "rope_parameters": rope(10000.0, rope_type="linear", factor=4.0)}, 41),
    "rope_dynamic": (
        "llama",
        {
            **SMALL,
            "max_position_embeddings": 16,
            "rope_parameters": rope(100.0, rope_type="dynamic", factor=4.0),
        },
        42,
    ),
    "rope_yarn": (
        "qwen2",
        {**SMALL, "hidden_size": 32, "bos_token_id": None, "rope_parameters": yarn_rope()},
        43,
    ),
    "rope_yarn_mscale": (
        "qwen3",
        {**SMALL, "rope_parameters": yarn_rope(mscale=2.0, mscale_all_dim=0.5, beta_fast=4.0, truncate=False)},
        45,
    ),
    # Windows shorter than the prompt.
    "mistral_window": ("mistral", {**SMALL, "rope_parameters": rope(1000000.0), "sliding_window": 7}, 51),
    "qwen2_window": (
        "qwen2",
        {
            **SMALL,
            "num_hidden_layers": 3,
            "bos_token_id": None,
            "rope_parameters": rope(1000000.0),
            "use_sliding_window": True,
            "sliding_window": 7,
            "max_window_layers": 1,
        },
        52,
    ),
    "qwen3_window": (
        "qwen3",
        {
            **SMALL,
            "num_hidden_layers": 3,
            "rope_parameters": rope(1000000.0),
            "use_sliding_window": True,
            "sliding_window": 7,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        53,
    ),
    "gemma3_text": ("gemma3_text", GEMMA3, 61),
    "gemma3": ("gemma3", {"text_config": GEMMA3, "vision_config": VISION}, 62),
}


# tensor of rope.safetensors -> (head size, rope_parameters, positions of the sequence)
FREQUENCIES = {
    "default": (64, rope(100000.0), None),
    "linear": (256, rope(1000000.0, rope_type="linear", factor=8.0), None),
    "dynamic": (128, rope(10000.0, rope_type="dynamic", factor=4.0), None),
    "dynamic_grown": (128, rope(10000.0, rope_type="dynamic", factor=4.0), 12345),
    "yarn": (128, rope(1000000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=8192), None),
    "yarn_not_truncated": (
        64,
        rope(
            150000.0,
            rope_type="yarn",
            factor=32.0,
            original_max_position_embeddings=4096,
            beta_fast=32.0,
            beta_slow=1.0,
            truncate=False,
        ),
        None,
    ),
    "llama3": (
        128,
        rope(
            500000.0,
            rope_type="llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=8192,
        ),
        None,
    ),
}


def frequencies(head_dim, parameters, n_positions):
    """Inverse frequencies of a Llama of real size; 8192 positions."""
    config = transformers.LlamaConfig(
        head_dim=head_dim, max_position_embeddings=8192, rope_parameters=dict(parameters)
    )
    rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
    if n_positions is not None:  # as its forward pass does: the length is a tensor
        compute = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS[rotary.rope_type]
        return compute(config, None, seq_len=torch.tensor(n_positions))[0]
    return rotary.inv_freq


def randomise(model, seed):
    """Fills every parameter in name order: norms 0.5 to 1.5, matrices and biases with standard deviation 0.3.

    Gemma stores what its norms have above 1, and multiplies its embeddings by sqrt(hidden_size).
    """
    gemma = "gemma" in model.config.model_type
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            parameter.data = (0.0 if gemma else 1.0) + 0.5 * torch.tanh(noise)
        else:
            parameter.data = 0.3 * noise


def build(model_type, overrides, seed):
    """A random float32 model of one family."""
    base = {} if "text_config" in overrides else BASE
    config = transformers.AutoConfig.for_model(model_type, **{**base, **overrides})
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
        if folder != source:
            shutil.copyfile(source / name, folder / name)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    scaling = config.pop("rope_parameters")
    config["rope_theta"] = scaling.pop("rope_theta")
    if scaling["rope_type"] == "yarn":  # as Qwen 2.5 spells it
        scaling["type"] = scaling.pop("rope_type")
    config["rope_scaling"] = scaling
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.43.0"
    # The published configs of Llama 3.1 and Qwen 2.5 have no head_dim.
    config.pop("head_dim", None)
    write_json(folder / "config.json", config)


def save_gemma3_transformers4_form(folder):
    """Rewrites a config.json of Gemma 3 with flat RoPE keys, as google publishes it.

    The layer types stay: the published pattern is a full layer after five others.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    scaling = config.pop("rope_parameters")
    config["rope_local_base_freq"] = scaling["sliding_attention"]["rope_theta"]
    config["rope_theta"] = scaling["full_attention"].pop("rope_theta")
    config["rope_scaling"] = scaling["full_attention"]
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.50.0"
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
    save_transformers4_form(out / "rope_yarn", out / "rope_yarn")
    save_gemma3_transformers4_form(out / "gemma3_text")
    save_sharded(out / "llama32_tied", out / "llama32_tied_sharded")
    write_tensors(out / "rope.safetensors", {name: frequencies(*form) for name, form in FREQUENCIES.items()})
    for folder in sorted(path.parent for path in out.glob("*/expected.safetensors")):
        verify(folder)


if __name__ == "__main__":
    main()
