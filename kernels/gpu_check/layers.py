"""A layer's operators beside attention."""

import torch

import inputs
from inputs import FLOAT32, ROUNDING, randn, tokens
from operators import Operator, operator


@operator
class GatedActivation(Operator):
    name = "gated_activation"

    def tolerance(self, dtype):
        return 2 * ROUNDING[dtype] + 1e-5, 1e-6  # rounded before the product and after it

    def cases(self, dtype):
        for n_rows, n_columns in [(1, 1), (3, 31), (2, 64), (5, 520)]:
            for kind in ("silu", "gelu_tanh"):
                yield randn(n_rows, 2 * n_columns, dtype=dtype), kind

    def expected(self, gate_up, kind):
        gate, up = gate_up.double().chunk(2, -1)
        act = torch.nn.functional
        return (act.silu(gate) if kind == "silu" else act.gelu(gate, approximate="tanh")) * up

    def large(self, dtype, ragged):
        return randn(tokens(2048), 2 * 14336, dtype=dtype), "silu"


@operator
class RmsNorm(Operator):
    name = "rms_norm"
    changed = (3,)

    def tolerance(self, dtype):
        return 2 * ROUNDING[dtype] + 1e-5, 1e-6  # rounded before the product and after it

    def arguments(self, n_rows, n_columns, dtype, weight_dtype):
        x, residual = (randn(n_rows, n_columns, dtype=dtype) for _ in range(2))
        return x, randn(n_columns, dtype=weight_dtype), 1e-5, residual

    def cases(self, dtype):
        for sizes in [(1, 8), (3, 576), (2, 1000), (5, 4096)]:
            yield self.arguments(*sizes, dtype, dtype)
            yield self.arguments(*sizes, dtype, FLOAT32)

    def expected(self, x, weight, eps, residual):
        stream = (x.double() + residual.double()).to(x.dtype).double()
        mean_square = stream.square().mean(-1, keepdim=True)
        return stream / (mean_square + eps).sqrt() * weight.double(), stream

    def large(self, dtype, ragged):
        return self.arguments(tokens(4096), 4096, dtype, dtype)


@operator
class NormRope(Operator):
    name = "norm_rope"

    def tolerance(self, dtype):
        # The norm's two roundings of each term, whose sum may cancel, and one at the end.
        return ROUNDING[dtype] + 1e-5, 8 * ROUNDING[dtype] + 1e-5

    def arguments(self, n_sequences, m, n_heads, n_kv_heads, d, dtype, weight_dtype):
        angles = torch.rand(n_sequences, m, 1, d // 2, device=inputs.device) * 7
        weights = [randn(d, dtype=weight_dtype) for _ in range(2)] if weight_dtype else [None, None]
        qkv = randn(n_sequences, m, (n_heads + 2 * n_kv_heads) * d, dtype=dtype)
        return qkv, n_heads, n_kv_heads, angles.cos(), angles.sin(), *weights, 1e-6

    def cases(self, dtype):
        for sizes in [(1, 1, 1, 1, 16), (2, 3, 6, 2, 64), (1, 5, 8, 2, 80), (3, 1, 8, 1, 256)]:
            for weight_dtype in dict.fromkeys([None, dtype, FLOAT32]):
                yield self.arguments(*sizes, dtype, weight_dtype)

    def expected(self, qkv, n_heads, n_kv_heads, cos, sin, query_weight, key_weight, eps):
        heads = qkv.double().unflatten(-1, (n_heads + 2 * n_kv_heads, -1))
        parts = [heads[:, :, :n_heads], heads[:, :, n_heads : n_heads + n_kv_heads]]
        normed = torch.empty(0, dtype=torch.double, device=inputs.device)
        if query_weight is not None:
            parts = [
                x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight.double()
                for x, weight in zip(parts, (query_weight, key_weight))
            ]
            normed = parts[0]
        rotated = []
        for x in parts:
            low, high = x.chunk(2, -1)
            rotated.append(torch.cat([low * cos - high * sin, high * cos + low * sin], -1))
        return *rotated, normed

    def n_bytes(self, arguments, results):
        # The values behind queries and keys are not read.
        read = results[0].nbytes + results[1].nbytes + arguments[3].nbytes + arguments[4].nbytes
        return read + sum(x.nbytes for x in results)

    def large(self, dtype, ragged):
        return self.arguments(1, tokens(8192), 32, 8, 128, dtype, dtype)
