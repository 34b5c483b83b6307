"""What operators are checked and timed on, on the device that check.py says."""

import torch

FLOAT32, BFLOAT16, FLOAT16 = torch.float32, torch.bfloat16, torch.float16
ROUNDING = {FLOAT32: 2.0**-24, BFLOAT16: 2.0**-8, FLOAT16: 2.0**-11}  # relative, of one rounding
device = torch.device("cpu")


def randn(*sizes, dtype=FLOAT32):
    return torch.randn(*sizes, device=device).to(dtype)


def integers(values, dtype=torch.int64):
    return torch.tensor(values, dtype=dtype, device=device)


def tokens(n):
    """A model's number of tokens; less of them on a CPU."""
    return n if device.type == "cuda" else n // 32


def ragged_shares(n, total, ragged):
    """n lengths of that sum (nearly): equal ones, or from near none to some times the mean."""
    weights = (
        torch.rand(n, generator=torch.Generator().manual_seed(3)) ** 4 if ragged else torch.ones(n)
    )
    return (weights / weights.sum() * total).long().clamp(min=8)


def n_decode_items(lengths):
    """Of a decode step's plan, as the program makes it (kernels/decode_plan/decode_plan.h)."""
    n_items = 128
    if device.type == "cuda":  # kDecodeItems of each
        n_items = 8 * torch.cuda.get_device_properties(device).multi_processor_count
    return max(n_items, lengths.numel())


def cache(lengths, head_dim, dtype, gap=0):
    """A batch's keys and values [rows, d], heads behind gaps of NaN; starts and lengths [S, H]."""
    lengths = torch.as_tensor(lengths)
    starts = (lengths.flatten() + gap).cumsum(0).view_as(lengths) - lengths
    rows = int(lengths.sum() + gap * lengths.numel())
    keys = randn(rows, head_dim, dtype=dtype)
    for start in starts.flatten():
        keys[start - gap : start] = torch.nan
    return keys, -2 * keys, starts.to(device), lengths.to(device)
