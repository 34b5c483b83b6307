#!/usr/bin/env python3
"""Trains attention gates (policies/gates/attention_gates.h) through the model that they are for, which stays as it is.

usage: train_attention_gate.py FOLDER

FOLDER holds task.json (harness/profile/gate_answers.h); it gets gates.safetensors. Prints losses as JSON. As far as
Attention-Gate (arXiv 2410.12876) is published: the language-model loss plus a term on each layer's mean gate, flags by a
threshold, passed straight through to the sigmoid behind them. Ours: what the loss is taken on (what the full cache
answers to questions behind the context), the term (weight times how far a layer's mean flag is above `keep`, mean over
layers), the threshold (0.5: the bias decides), what is always kept, first weights, and the descent (Adam, with
train_gate.py's rates, one context a step).
"""

import json
import math
import sys
from pathlib import Path

from train_gate import rate, torch, write_gates

THRESHOLD = 0.5
ADAM = (0.9, 0.999, 1e-8)
OPEN = 1.0  # the first bias: all gates are open, which is the full cache
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def read_weights(folder):
    """All tensors of a model's folder, as float32."""
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = bytearray(path.read_bytes())
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            dtype = DTYPES[entry["dtype"]]
            count = (end - begin) // dtype.itemsize
            values = torch.frombuffer(data, dtype=dtype, offset=begin, count=count).view(entry["shape"])
            weights[name] = values.to(torch.float32, copy=True)
    return weights


class Gate(torch.nn.Module):
    """policies/gates/attention_gates.h says the formula; tensors have the names and shapes that it reads."""

    def __init__(self, task):
        super().__init__()
        self.heads, self.width = task["kv_heads"], task["width"]
        rows = self.heads * self.width
        self.q_proj, self.k_proj, self.v_proj = (torch.nn.Linear(task["hidden"], rows, bias=False) for _ in range(3))
        self.o_proj = torch.nn.Module()
        self.o_proj.weight = torch.nn.Parameter(torch.randn(self.heads, self.width) / self.width)
        self.o_proj.bias = torch.nn.Parameter(torch.full((self.heads,), OPEN))

    def forward(self, hidden):
        """Hidden states [T, D] of a whole context -> how open the gates are [H, T]."""
        q, k, v = (
            project(hidden).view(-1, self.heads, self.width).transpose(0, 1)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        weights = (q @ k.transpose(1, 2) / math.sqrt(self.width)).softmax(-1)
        seen = v + weights @ v
        return torch.sigmoid((seen * self.o_proj.weight.unsqueeze(1)).sum(-1) + self.o_proj.bias.unsqueeze(1))


def rms_norm(hidden, weight, epsilon):
    """Over the last dimension."""
    return hidden * (hidden.square().mean(-1, keepdim=True) + epsilon).rsqrt() * weight


def attend(queries, keys, values, flags, scale):
    """Causal attention [Hq, T, d] in which a token's weight counts as often as its flag [H, T] says; its own always."""
    group, n_tokens = queries.shape[0] // keys.shape[0], keys.shape[1]
    keys, values, flags = (x.repeat_interleave(group, 0) for x in (keys, values, flags))
    later = torch.ones(n_tokens, n_tokens, dtype=torch.bool).triu(1)
    logits = (queries @ keys.transpose(1, 2) * scale).masked_fill(later, -math.inf)
    weights = (logits - logits.amax(-1, keepdim=True).detach()).exp()
    own = torch.eye(n_tokens)
    weights = weights * (flags.unsqueeze(1) * (1 - own) + own)
    return (weights / weights.sum(-1, keepdim=True)) @ values


class Llama:
    """The frozen model, float32."""

    def __init__(self, task):
        self.task = task
        self.weights = read_weights(Path(task["model"]))
        self.frequencies = torch.tensor(task["frequencies"])

    def rotated(self, heads):
        """RoPE of [T, heads, d], the two halves being pairs."""
        angles = torch.arange(heads.shape[0], dtype=torch.float32).unsqueeze(1) * self.frequencies
        cos, sin = (part.unsqueeze(1) * self.task["rope_factor"] for part in (angles.cos(), angles.sin()))
        low, high = heads.chunk(2, -1)
        return torch.cat((low * cos - high * sin, high * cos + low * sin), -1)

    def loss(self, sequence, gates):
        """Mean loss of what is said, and each layer's mean flag [L]; without gates all are 1."""
        task, n_context, n_said = self.task, sequence["context"], sequence["said"]
        tokens = torch.tensor(sequence["tokens"])
        embedding = self.weights["model.embed_tokens.weight"]
        hidden, means = embedding[tokens[:-1]], []
        for index in range(task["layers"]):
            hidden, mean = self.layer(index, hidden, n_context, gates[index] if gates else None)
            means.append(mean)
        said = rms_norm(hidden[-n_said:], self.weights["model.norm.weight"], task["epsilon"])
        head = self.weights.get("lm_head.weight", embedding)
        return torch.nn.functional.cross_entropy(said @ head.T, tokens[-n_said:]), torch.stack(means)

    def layer(self, index, hidden, n_context, gate):
        """The hidden states behind a layer, and its mean flag."""
        task, n_tokens = self.task, hidden.shape[0]

        def weight(name):
            return self.weights[f"model.layers.{index}.{name}.weight"]

        def heads(name):
            return (x @ weight(f"self_attn.{name}").T).view(n_tokens, -1, task["head_dim"])

        x = rms_norm(hidden, weight("input_layernorm"), task["epsilon"])
        queries, keys = self.rotated(heads("q_proj")), self.rotated(heads("k_proj"))
        flags, mean = torch.ones(task["kv_heads"], n_tokens), torch.tensor(1.0)
        if gate is not None:
            opened = gate(x[:n_context])
            decided = (opened >= THRESHOLD).float() + opened - opened.detach()
            first, last = task["sink"], n_context - task["recent"]
            flags = torch.cat((flags[:, :first], decided[:, first:last], flags[:, last:]), 1)
            mean = flags[:, :n_context].mean()
        attended = attend(*(part.transpose(0, 1) for part in (queries, keys, heads("v_proj"))), flags, task["scale"])
        hidden = hidden + attended.transpose(0, 1).flatten(1) @ weight("self_attn.o_proj").T
        x = rms_norm(hidden, weight("post_attention_layernorm"), task["epsilon"])
        gated = torch.nn.functional.silu(x @ weight("mlp.gate_proj").T) * (x @ weight("mlp.up_proj").T)
        return hidden + gated @ weight("mlp.down_proj").T, mean


def excess(task, means):
    """The term on the gates."""
    return task["weight"] * (means - task["keep"]).clamp_min(0).mean()


def judge(model, gates, sequences):
    """Mean loss of what is said with these gates, and the same with the term."""
    with torch.no_grad():
        made = [model.loss(sequence, gates) for sequence in sequences]
    said = sum(loss.item() for loss, _ in made) / len(made)
    return said, said + sum(excess(model.task, means).item() for _, means in made) / len(made)


def descend(model, gates, sequences):
    """Adam, one sequence a step."""
    task = model.task
    weights = [weight for gate in gates for weight in gate.parameters()]
    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    decay, decay_of_squares, epsilon = ADAM
    order = torch.cat([torch.randperm(len(sequences)) for _ in range(1 + task["steps"] // len(sequences))])
    for step in range(task["steps"]):
        loss, means = model.loss(sequences[order[step]], gates)
        slopes = torch.autograd.grad(loss + excess(task, means), weights)
        size = rate(task, step) * math.sqrt(1 - decay_of_squares ** (step + 1)) / (1 - decay ** (step + 1))
        for weight, mean, square, slope in zip(weights, first, second, slopes):
            mean.lerp_(slope, 1 - decay)
            square.lerp_(slope.square(), 1 - decay_of_squares)
            weight.data.sub_(mean / (square.sqrt() + epsilon), alpha=size)


def main():
    """Trains the gates of all layers together."""
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text())
    torch.set_num_threads(task["threads"])
    torch.manual_seed(task["seed"])
    held_out = [sequence for sequence in task["sequences"] if sequence["held_out"]]
    model = Llama(task)
    gates = [Gate(task) for _ in range(task["layers"])]
    result = {"full": judge(model, None, held_out)[0], "before": judge(model, gates, held_out)[1]}
    descend(model, gates, [sequence for sequence in task["sequences"] if not sequence["held_out"]])
    gates = [gate.half().float() for gate in gates]  # as they are stored
    tensors = [{name: value.half() for name, value in gate.state_dict().items()} for gate in gates]
    if not all(value.isfinite().all() for layer in tensors for value in layer.values()):
        print(f"the descent has diverged; expected a smaller training.rate than {task['rate']}")
        return 2
    write_gates(folder / "gates.safetensors", tensors, task["metadata"])
    result["gated"], result["after"] = judge(model, gates, held_out)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
