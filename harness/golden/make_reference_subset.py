#!/usr/bin/env python3
"""Cuts the committed golden arrays out of the full reference set.

usage: make_reference_subset.py SOURCE_REFERENCE_DIR [--out DIR]        (h5py)

SOURCE_REFERENCE_DIR is a folder in the layout that KVBENCH_REFERENCE names. The subset has the same layout, so a golden
test reads either with the same code; values are copied exactly. What to keep is listed below: the full set is tens of
megabytes, a clone should not be.
"""

import argparse
import os
import sys
from pathlib import Path

import h5py
import numpy

SCORES = [
    "snapkv",
    "snapkv_w32k7max",
    "snapkv_w32k7max_groupmean_then_pool",
    "snapkv_w32k7max_groupmax_then_pool",
    "keydiff",
    "knorm",
    "tova",
    "observed_attention",
    "h2o_sum",
    "expected_attention",
    "expected_attention_e1",
    "expected_attention_e2",
    "expected_attention_nocov",
    "expected_attention_novnorm",
    "window32_attention_mean_over_queries",
    "wov_l1_norm_groupmean",
]
RATIOS = ["r0.5", "r0.8", "r0.9"]
POLICIES = [
    *["snapkv", "snapkv_w32k7max", "keydiff", "streaming_llm", "random_s42"],
    *["knorm", "tova", "observed_attention", "expected_attention", "expected_attention_e2"],
]
# Policies whose budget is not uniform, counts of other implementations, and the tables that lukv reads.
ALLOCATED = [
    *["pyramidkv", "pyramidkv_w8_b5", "adakv_snapkv_w32k7max", "adakv_keydiff"],
    *["lukv_ea", "lukv_snapkv", "lukv_keydiff"],
]
PEER_COUNTS = ["adakv_authors_counts", "kvcf_pyramidkv_counts"]
LUKV_TABLES = ["ea_sink4_win1", "snapkv_sink4_win32", "keydiff_sink4_win1"]
# One context of the official profile code: SnapKV is the scorer with ties.
LUKV_CONTEXT = [
    *["context_ids", "suffix_ids", "generated_ids", "oracle", "score_snapkv", "snapkv"],
]
# One layer's keys, values and queries test the scorers without a model.
LAYERS = [0]

KEEP = [
    "context_ids",
    "question_ids",
    "full",
    *[f"scores/{name}" for name in SCORES],
    *[f"policies/{ratio}/{policy}" for ratio in RATIOS for policy in POLICIES],
    *[f"kv/{name}_layer{layer}" for name in ("keys", "values", "queries_prerope") for layer in LAYERS],
    *[f"policies/{ratio}/{policy}" for ratio in RATIOS for policy in ALLOCATED],
    *[f"peers/{ratio}/{name}" for ratio in RATIOS for name in PEER_COUNTS],
    "pyramid_grid",
]

KEEP_OF_LUKV = [
    *[f"average/{table}" for table in LUKV_TABLES],
    *[f"context0/{name}" for name in LUKV_CONTEXT],
]

# Each kind of keys once, G-KV's recipe and every mode that adds something to it, R-KV's own code.
KEEP_OF_REDUNDANCY = ["random_64", "groups_64", "none_above_64", "alike_64", "smollm2_64", "groups_257", "smollm2_257"]
SEQUENCE_MODES = [
    *["gkv_short_prompt", "gkv_raw_similarity", "gkv_shift_indicator", "gkv_ratio", "gkv_no_norm", "gkv_mean"],
    *["gkv_class_defaults", "h2o", "h2o_alpha1", "rkv_mode", "snapkv_mode", "rkv_original"],
]
KEEP_OF_SEQUENCE = [
    *["keys", "queries", "prompt_queries_100", "modes/gkv", "modes/h2o_alpha1/F_initial"],
    *[f"modes/{mode}/{name}" for mode in SEQUENCE_MODES for name in ("schedule", "ranking", "positions_after")],
]
KEEP_OF_E2E = [
    *["ids", "schedule", "logprob", "logprob_full", "argmax", "cached_at_end", "F_after_cut0", "F_after_cut3"],
    *[f"positions_after_cut{cut}" for cut in range(4)],
]

# The second cut of each mode of VaSE: its slots are no longer in the order of the tokens.
VASE_MODES = ["range_sink_sample_attn", "attn", "attn_rkv", "range_attn", "evict_large_range"]
KEEP_OF_VASE = ["keys", "values", "queries/384", "schedule", *[f"{mode}/cut1" for mode in VASE_MODES]]

LAYERS_OF_SCORES = [0, 15, 29]
KEEP_OF_KVZIP = [
    *["context_ids", "repeat_ids_0", "repeat_ids_1"],
    *[f"{name}_{ratio}" for name in ("kept", "keep_counts") for ratio in ("r0.5", "r0.9")],
    *[f"{name}_layer{layer}" for name in ("scores", "scores_plus") for layer in LAYERS_OF_SCORES],
]
KEEP_OF_ECHO = [
    *["context_ids", "repeat_ids_0", "chunks", "keep_counts_r0.5", "unit"],
    *[f"{name}_layer{layer}" for name in ("virtual", "exact_first", "final") for layer in LAYERS_OF_SCORES],
    *["final_scope_layer_layer15", "final_scope_global_layer15"],
]
# All of it: two layers of gates are most of the file, and budgets span them.
KEEP_OF_GATE = [
    *["layer0", "layer1", "hidden_states", "decode"],
    *[f"protected_{n}" for n in (1, 3, 40, 49, 50, 100, 300)],
    *[f"kept_r{ratio}_{scope}" for ratio in (0.3, 0.9) for scope in ("global", "layer")],
]

FILES = {
    "policies/sherlock_700.h5": KEEP,
    "policies/lukv_profile.h5": KEEP_OF_LUKV,
    "decode/gkv_redundancy.h5": KEEP_OF_REDUNDANCY,
    "decode/gkv_sequence.h5": KEEP_OF_SEQUENCE,
    "decode/gkv_e2e.h5": KEEP_OF_E2E,
    "decode/vase.h5": KEEP_OF_VASE,
    "decode/kvzip_scores.h5": KEEP_OF_KVZIP,
    "decode/echo.h5": KEEP_OF_ECHO,
    "decode/fastkvzip_gate.h5": KEEP_OF_GATE,
}

MAX_BYTES = 11_000_000


class SubsetError(Exception):
    """A failure whose message says all that the user needs."""


def copy_attributes(source, target):
    """Attributes as they are."""
    for name, value in source.attrs.items():
        target.attrs[name] = value


def copy_dataset(source, target, path):
    """One array with the same values; larger ones are compressed as hard as gzip can."""
    values = source[()]
    packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if values.size > 256 else {}
    copied = target.create_dataset(path, data=values, **packed)
    copy_attributes(source, copied)


def copy_node(source, target, path):
    """An array, or a group with everything in it; the attributes of the group that holds it as well."""
    if path not in source:
        raise SubsetError(f"{source.filename} has no {path}")
    if holder := path.rpartition("/")[0]:
        copy_attributes(source[holder], target.require_group(holder))
    node = source[path]
    if isinstance(node, h5py.Dataset):
        copy_dataset(node, target, path)
        return
    copy_attributes(node, target.require_group(path))
    for name in sorted(node):
        copy_node(source, target, f"{path}/{name}")


def same_bytes(first, second):
    """Equal type, shape and bits: a plain comparison would let NaN and -0 through."""
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def verify(source, target):
    """Compares every copied array with its source; returns how many there are."""
    copied = []
    target.visititems(lambda path, node: copied.append(path) if isinstance(node, h5py.Dataset) else None)
    for path in copied:
        if not same_bytes(numpy.asarray(source[path][()]), numpy.asarray(target[path][()])):
            raise SubsetError(f"{path} was not copied exactly")
    return len(copied)


def make_subset(source_file, target_file, keep):
    """Writes one reduced file beside its final name and renames it when it is verified."""
    if not source_file.is_file():
        raise SubsetError(f"no such file: {source_file}; expected the folder of the full reference set")
    target_file.parent.mkdir(parents=True, exist_ok=True)
    temporary = target_file.with_name(f".{target_file.name}.{os.getpid()}.tmp")
    try:
        # libver: the C++ side reads with HDF5 1.10.
        with h5py.File(source_file, "r") as source, h5py.File(temporary, "w", libver=("earliest", "v110")) as target:
            copy_attributes(source, target)
            for path in keep:
                copy_node(source, target, path)
            count = verify(source, target)
        os.replace(temporary, target_file)
    finally:
        temporary.unlink(missing_ok=True)
    print(f"{target_file}: {count} arrays, {target_file.stat().st_size} bytes")


def main():
    """Makes every file of the subset; a failure is one line on stderr."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, metavar="SOURCE_REFERENCE_DIR", help="the full reference set")
    default = Path(__file__).resolve().parent / "reference"
    parser.add_argument("--out", type=Path, default=default, help="default: reference/ beside this script")
    arguments = parser.parse_args()
    try:
        for name, keep in FILES.items():
            make_subset(arguments.source / name, arguments.out / name, keep)
        total = sum((arguments.out / name).stat().st_size for name in FILES)
        if total > MAX_BYTES:
            raise SubsetError(f"the subset has {total} bytes, more than {MAX_BYTES}: shorten the lists in this script")
    except (SubsetError, OSError) as error:
        print(f"make_reference_subset.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
