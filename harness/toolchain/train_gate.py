#!/usr/bin/env python3
"""Trains gates on what kvbench wrote (harness/profile/gate_data.h): a small network a layer.

usage: train_gate.py FOLDER

FOLDER holds task.json, hidden.L and target.L; it gets gates.safetensors. Prints what the gates are worth on the contexts
that they were not trained on, as JSON. Architecture, loss (binary cross entropy, mean over tokens, sum over heads) and
descent (SGD, momentum 0.9, a ramp of 1 % of the steps, half the rate from one half of them on, a quarter from three
quarters on) are Fast KVzip's (arXiv 2601.17668); the first weights of k_base, and that b is added once in training as
well, are ours. Each layer is trained by itself on one thread, so the result does not depend on their number.
"""

import array
import ctypes
import json
import math
import os
import struct
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

# LibTorch's CUDA half binds functions when they are called; a CPU has empty libraries for them (setup.sh python).
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
for library in sorted((Path(sys.prefix).parent / "cuda_standins").glob("*.so*")):
    ctypes.CDLL(str(library))
sys.setdlopenflags(os.RTLD_LAZY)
import torch  # noqa: E402

EPSILON = 1e-6
MOMENTUM = 0.9
BEST = 0.2  # share of a context's entries whose choice is compared


class Gate(torch.nn.Module):
    """policies/gates/gates.h says the formula; tensors have the names and shapes that it reads."""

    def __init__(self, task):
        super().__init__()
        self.heads, self.group, self.width = task["kv_heads"], task["group"], task["width"]
        self.q_proj = torch.nn.Linear(task["hidden"], self.heads * self.group * self.width)
        self.k_proj = torch.nn.Linear(task["hidden"], self.heads * self.width, bias=False)
        self.q_norm = torch.nn.RMSNorm(self.width, eps=EPSILON)
        self.k_norm = torch.nn.RMSNorm(self.width, eps=EPSILON)
        self.k_base = torch.nn.Parameter(torch.randn(self.heads, 1, task["sinks"], self.width))
        self.b = torch.nn.Parameter(torch.zeros(self.heads, 1, self.group))

    def forward(self, hidden):
        """Hidden states [T, D] -> scores [T, H]."""
        q = self.q_norm(self.q_proj(hidden).view(-1, self.heads, self.group, self.width))
        k = self.k_norm(self.k_proj(hidden).view(-1, self.heads, 1, self.width))
        logit = (q * k).sum(-1) / math.sqrt(self.width) + self.b.squeeze(1)  # [T, H, G]
        base = torch.einsum("thgr,hsr->thgs", q, self.k_base.squeeze(1)) / math.sqrt(self.width)
        # 1 / (1 + sum of exp(base - logit)), without overflow
        others = torch.logsumexp(base - logit.unsqueeze(-1), -1)
        return torch.sigmoid(-others).mean(-1)


def load(folder, name, rows, columns, dtype):
    """An array that kvbench wrote, mapped rather than read."""
    values = torch.from_file(str(folder / name), shared=False, size=rows * columns, dtype=dtype)
    return values.view(rows, columns)


def rows_of(task, contexts):
    """The rows of these contexts' trained tokens."""
    starts = [sum(task["lengths"][:i]) for i in range(len(task["lengths"]))]
    return [
        torch.arange(starts[i] + task["first"][i], starts[i] + task["first"][i] + task["count"][i]) for i in contexts
    ]


def rate(task, step):
    """The learning rate of a step."""
    ramp = min(1.0, (step + 1) / max(1.0, 0.01 * task["steps"]))
    share = step / task["steps"]
    return task["rate"] * ramp * (1.0 if share < 0.5 else 0.5 if share < 0.75 else 0.25)


def train_layer(folder, task, layer):
    """Trains one layer; leaves its tensors, as float16, and what it and the target say of each held-out context."""
    torch.set_num_threads(1)
    torch.manual_seed(task["seed"] + layer)
    n_tokens, n_contexts = sum(task["lengths"]), len(task["lengths"])
    hidden = load(folder, f"hidden.{layer}", n_tokens, task["hidden"], torch.bfloat16)
    target = load(folder, f"target.{layer}", n_tokens, task["kv_heads"], torch.float32)
    n_trained = n_contexts - task["held_out"]
    rows = torch.cat(rows_of(task, range(n_trained)))
    gate = Gate(task)
    # Not torch.optim, which cannot do without packages that nothing else here needs.
    weights = list(gate.parameters())
    momenta = [torch.zeros_like(weight) for weight in weights]
    for step in range(task["steps"]):
        batch = rows[torch.randint(len(rows), (min(task["tokens"], len(rows)),))]
        scores = gate(hidden[batch].float()).clamp(1e-6, 1 - 1e-6)
        loss = torch.nn.functional.binary_cross_entropy(scores, target[batch], reduction="none").mean(0).sum()
        for weight, momentum, slope in zip(weights, momenta, torch.autograd.grad(loss, weights)):
            momentum.mul_(MOMENTUM).add_(slope)
            weight.data.sub_(momentum, alpha=rate(task, step))
    gate = gate.half().float()  # as it is stored
    tensors = {name: value.half() for name, value in gate.state_dict().items()}
    with torch.no_grad():
        held_out = rows_of(task, range(n_trained, n_contexts))
        judged = [(gate(hidden[rows].float()), target[rows].clone()) for rows in held_out]
    torch.save((tensors, judged), folder / f"trained.{layer}")


def spearman(gates, targets):
    """Mean over the heads of the rank correlation; both [T, H]."""
    ranks = [values.argsort(stable=True, dim=0).argsort(stable=True, dim=0).double() for values in (gates, targets)]
    gates, targets = (values - values.mean(0) for values in ranks)
    return ((gates * targets).sum(0) / (gates.square().sum(0) * targets.square().sum(0)).sqrt()).mean().item()


def shared_best(gates, targets):
    """How much of the best entries of the one is among those of the other; both flat."""
    count = max(1, int(BEST * gates.numel()))
    chosen = [set(values.argsort(stable=True, descending=True)[:count].tolist()) for values in (gates, targets)]
    return len(chosen[0] & chosen[1]) / count


def write_gates(file, layers, metadata):
    """A safetensors file of every layer's tensors."""
    header, data = {"__metadata__": metadata}, bytearray()
    for index, tensors in enumerate(layers):
        for name, value in tensors.items():
            begin = len(data)
            data += array.array("h", value.view(torch.int16).flatten().tolist()).tobytes()
            shape = list(value.shape)
            header[f"layers.{index}.{name}"] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    """Trains all layers, as many at once as the task has threads."""
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text())
    with ProcessPoolExecutor(task["threads"], mp_context=get_context("spawn")) as pool:
        for _ in pool.map(train_layer, *zip(*[(folder, task, layer) for layer in range(task["layers"])])):
            pass
    trained = [torch.load(folder / f"trained.{layer}") for layer in range(task["layers"])]
    if not all(value.isfinite().all() for tensors, _ in trained for value in tensors.values()):
        print(f"the descent has diverged; expected a smaller training.rate than {task['rate']}")
        return 2
    write_gates(folder / "gates.safetensors", [tensors for tensors, _ in trained], task["metadata"])
    of_layers = [[spearman(*pair) for pair in judged] for _, judged in trained]
    means = [sum(values) / len(values) for values in of_layers]
    shared = []
    for context in range(task["held_out"]):
        pairs = [judged[context] for _, judged in trained]
        shared.append(shared_best(*(torch.cat([pair[side].flatten() for pair in pairs]) for side in (0, 1))))
    print(
        json.dumps(
            {
                "spearman": sum(means) / len(means),
                "worst_layer": min(means),
                "shared_fifth": sum(shared) / len(shared),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
