"""A decode step of our operators and torch's products, as the program makes it
(harness/model/decoder.cpp): static buffers, lengths and positions counted on the device, the tokens
chosen there. As a CUDA graph it must say what it says launched one by one.
"""

import torch

import inputs

kvbench = torch.ops.kvbench


class Step:
    """S sequences of ragged lengths in a decoder of random weights."""

    def __init__(self, dtype, n_layers, hidden, heads, kv_heads, inner, vocab, lengths, room):
        torch.manual_seed(5)
        self.d, self.heads, self.kv_heads = hidden // heads, heads, kv_heads
        n_sequences = lengths.shape[0]

        def weight(*sizes):
            return inputs.randn(*sizes, dtype=torch.float32).div_(sizes[-1] ** 0.5).to(dtype)

        def empty(*sizes, dtype=dtype):
            return torch.empty(*sizes, dtype=dtype, device=inputs.device)

        n_qkv = (heads + 2 * kv_heads) * self.d
        self.layers = []
        for _ in range(n_layers):
            keys, values, starts, held = inputs.cache(lengths, self.d, dtype, gap=room)
            self.layers.append(
                {
                    "norm": torch.ones(hidden, dtype=dtype, device=inputs.device),
                    "qkv": weight(n_qkv, hidden),
                    "output": weight(hidden, hidden),
                    "gate_up": weight(2 * inner, hidden),
                    "down": weight(hidden, inner),
                    # A head's room is behind its rows: the gap before the next one.
                    "keys": torch.cat([keys, keys[:room]]),
                    "values": torch.cat([values, values[:room]]),
                    "starts": starts,
                    "lengths": held.clone(),
                }
            )
        self.plan = [None, None]
        if inputs.device.type == "cuda":
            plan = kvbench.decode_plan(lengths.cpu() + room // 2, inputs.n_decode_items(lengths))
            self.plan = [x.to(inputs.device) for x in plan]
        self.embedding = weight(vocab, hidden)
        turns = 1e4 ** -torch.linspace(0, 1, self.d // 2)
        angles = torch.outer(torch.arange(int(lengths.max()) + room + 1), turns).to(inputs.device)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.ids = inputs.integers(range(n_sequences))
        self.positions = inputs.integers([int(lengths.max())] * n_sequences)
        of = n_sequences, 1
        self.hidden, self.normed, self.change = (empty(*of, hidden) for _ in range(3))
        self.qkv = empty(*of, n_qkv)
        self.queries, self.attended = (empty(*of, heads, self.d) for _ in range(2))
        self.new_keys = empty(*of, kv_heads, self.d)
        self.no_queries = empty(0)
        self.gate_up, self.activated = empty(*of, 2 * inner), empty(*of, inner)
        self.logits = empty(*of, vocab)
        self.float_logits = empty(n_sequences, vocab, dtype=torch.float32)
        self.rows = [empty(n_sequences, self.d // 2, dtype=torch.float32) for _ in range(2)]
        self.workspace = empty(0, dtype=torch.uint8)

    def run(self):
        for rows, table in zip(self.rows, (self.cos, self.sin)):
            torch.index_select(table, 0, self.positions, out=rows)
        n_sequences = self.ids.shape[0]
        torch.index_select(self.embedding, 0, self.ids, out=self.hidden.view(n_sequences, -1))
        residual = None
        for layer in self.layers:
            self.norm(layer["norm"], residual)
            self.product(self.normed, layer["qkv"], self.qkv)
            cos, sin = self.rows
            kvbench.norm_rope.out(
                *(self.qkv, self.heads, self.kv_heads, cos, sin),
                queries=self.queries,
                keys=self.new_keys,
                normed_queries=self.no_queries,
            )
            values = self.qkv.view(n_sequences, 1, -1, self.d)[:, :, -self.kv_heads :]
            cached = layer["keys"], layer["values"], layer["starts"], layer["lengths"]
            layer["lengths"].add_(1)
            kvbench.cache_append(self.new_keys, values, *cached)
            scale, window = self.d**-0.5, 0
            kvbench.cache_attention.out(
                *(self.queries, *cached, scale, window, *self.plan, self.workspace),
                out=self.attended,
            )
            self.product(self.attended, layer["output"], self.change)
            self.norm(layer["norm"], self.hidden)
            self.product(self.normed, layer["gate_up"], self.gate_up)
            kvbench.gated_activation.out(self.gate_up, "silu", out=self.activated)
            self.product(self.activated, layer["down"], self.change)
            residual = self.hidden
        self.norm(self.layers[0]["norm"], residual)
        self.product(self.normed, self.embedding, self.logits)
        self.float_logits.copy_(self.logits.squeeze(1))
        kvbench.argmax_lowest.out(self.float_logits, self.workspace, ids=self.ids)
        self.positions.add_(1)

    def norm(self, weight, residual):
        x = self.hidden if residual is None else self.change
        kvbench.rms_norm.out(x, weight, 1e-5, residual, out=self.normed)

    @staticmethod
    def product(x, weight, out):
        torch.mm(x.view(-1, weight.shape[1]), weight.t(), out=out.view(-1, weight.shape[0]))


def small(dtype, room):
    lengths = inputs.ragged_shares(4 * 4, 4 * 4 * inputs.tokens(2048), True).view(4, 4)
    sizes = (
        (8, 1024, 16, 4, 2816, 32000) if inputs.device.type == "cuda" else (2, 128, 8, 4, 96, 500)
    )
    return Step(dtype, *sizes, lengths, room)


def say(step, run, n_steps):
    said = []
    for _ in range(n_steps):
        run()
        said.append(step.ids.clone())
    return torch.stack(said)


def check(dtype, n_steps=16):
    """{same, allocations, eager_us, graph_us, run}: whether a graph says the same tokens as single
    launches, how often it took memory while it was recorded, their times, and a step to be profiled.
    On a CPU, which records nothing, whether steps repeat."""
    room = 4 * n_steps
    eager, graphed = small(dtype, room), small(dtype, room)
    want = say(eager, eager.run, n_steps)
    if inputs.device.type == "cpu":
        return {"same": torch.equal(want, say(graphed, graphed.run, n_steps))}
    # As the program does it: a step that warms up, on the stream that records.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        first = say(graphed, graphed.run, 1)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        graph.capture_begin(
            capture_error_mode="thread_local"
        )  # which takes memory for random numbers
        taken = torch.cuda.memory_stats()["allocation.all.allocated"]
        graphed.run()
        taken = torch.cuda.memory_stats()["allocation.all.allocated"] - taken
        graph.capture_end()
        got = torch.cat([first, say(graphed, graph.replay, n_steps - 1)])
        stream.synchronize()

    def us_of(run):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(n_steps):
            run()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) * 1e3 / n_steps

    return {
        "same": torch.equal(want, got),
        "allocations": taken,
        "eager_us": us_of(eager.run),
        "graph_us": us_of(graph.replay),
        "run": eager.run,
    }
