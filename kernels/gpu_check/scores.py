"""Scores of keys and values."""

import torch

from inputs import randn, tokens
from operators import Operator, operator


@operator
class RowNorms(Operator):
    name = "row_norms"

    def cases(self, dtype):
        for n_heads, n_tokens, d in [(1, 1, 16), (3, 31, 80), (2, 257, 128), (5, 33, 256)]:
            yield randn(n_heads, n_tokens, d, dtype=dtype), 1
            yield randn(n_heads, n_tokens, d, dtype=dtype), 2

    def expected(self, rows, p):
        return rows.double().norm(p, -1)

    def large(self, dtype, ragged):
        return randn(8, tokens(16384), 128, dtype=dtype), 2


@operator
class KeydiffScores(Operator):
    name = "keydiff_scores"

    def cases(self, dtype):
        for n_heads, n_tokens, d in [(1, 1, 16), (3, 31, 80), (2, 300, 128), (4, 65, 64)]:
            yield (randn(n_heads, n_tokens, d, dtype=dtype) + 1,)

    def expected(self, keys):
        keys = keys.double()
        norms = keys.norm(2, -1, keepdim=True)
        anchor = (keys / norms.clamp(min=1e-12)).mean(1, keepdim=True)
        scale = norms.clamp(min=1e-8) * anchor.norm(2, -1, keepdim=True).clamp(min=1e-8)
        return -((keys * anchor) / scale).sum(-1)

    def large(self, dtype, ragged):
        return (randn(8, tokens(16384), 128, dtype=dtype),)


@operator
class KeySimilarity(Operator):
    name = "key_similarity"

    def cases(self, dtype):
        for n_heads, n_tokens, d in [(1, 1, 64), (3, 31, 80), (2, 300, 128), (4, 65, 64)]:
            keys = randn(n_heads, n_tokens, d, dtype=dtype)
            keys[:, n_tokens // 2 :] = keys[
                :, : n_tokens - n_tokens // 2
            ].clone()  # twins; no other is alike
            yield (keys,)

    def expected(self, keys):
        keys = keys.double()
        units = keys / (keys.norm(2, -1, keepdim=True) + 1e-6)
        cosines = units @ units.transpose(1, 2)
        cosines.diagonal(0, 1, 2).zero_()
        column = torch.arange(keys.shape[1], device=keys.device)
        last = torch.where(cosines > 0.5, column, -1).amax(-1, keepdim=True)
        cosines = torch.where(column == last, 0, cosines)
        return cosines.mean(1).softmax(-1)

    def large(self, dtype, ragged):
        return (randn(8, tokens(2176), 128, dtype=dtype),)


@operator
class ProjectedValueNorms(Operator):
    name = "projected_value_norms"

    def tolerance(self, dtype):
        return 1e-4, 1e-4  # sums over the hidden size of products that float32 rounds

    def cases(self, dtype):
        for n_heads, group, n_tokens, d, hidden in [
            (1, 1, 1, 16, 8),
            (2, 3, 31, 64, 96),
            (2, 4, 65, 80, 200),
            (1, 8, 40, 128, 256),
        ]:
            weight = randn(hidden, n_heads * group * d, dtype=dtype)
            for p in (1, 2):
                yield randn(n_heads, n_tokens, d, dtype=dtype), weight, p

    def expected(self, values, weight, p):
        n_heads, d = values.shape[0], values.shape[2]
        group = weight.shape[1] // (n_heads * d)
        by_head = weight.double().view(weight.shape[0], n_heads, group, d)
        norms = torch.einsum("htd,Dhgd->hgtD", values.double(), by_head).norm(p, -1)
        return norms.flatten(0, 1) if p == 2 else norms.mean(1)

    def n_flops(self, arguments):
        values, weight, _ = arguments
        return 2 * values.shape[1] * weight.numel()

    def large(self, dtype, ragged):
        n_tokens = tokens(8192)
        return randn(8, n_tokens, 128, dtype=dtype), randn(tokens(4096), 4096, dtype=dtype), 1


@operator
class ExpectedAttentionScores(Operator):
    name = "expected_attention_scores"

    def tolerance(self, dtype):
        return 1e-4, 1e-6  # exponents of size 10, in float32

    def arguments(self, n_heads, group, n_tokens, d, dtype, quadratic):
        keys = randn(n_heads, n_tokens, d, dtype=dtype)
        linear = randn(n_heads * group, d) / d**0.5
        square = randn(n_heads * group, d, d) / d if quadratic else None
        return keys, randn(n_heads, n_tokens, d, dtype=dtype), linear, square

    def cases(self, dtype):
        for i, (n_heads, group, n_tokens, d) in enumerate(
            [(1, 1, 5, 16), (2, 3, 70, 64), (2, 4, 33, 80), (1, 8, 130, 128)]
        ):
            tensors = self.arguments(n_heads, group, n_tokens, d, dtype, quadratic=i != 1)
            yield *tensors, 4, False, True, 0.02
            yield *tensors, 4, True, True, 0.0
            yield *tensors, 0, False, False, 0.0

    def expected(self, keys, values, linear, square, n_sink, over_sinks, use_vnorm, eps):
        group = linear.shape[0] // keys.shape[0]
        k = keys.double().repeat_interleave(group, 0)
        z = torch.einsum("qtd,qd->qt", k, linear.double())
        if square is not None:
            z += torch.einsum("qtd,qde,qte->qt", k, square.double(), k)
        weights = z.softmax(-1)[:, n_sink:] if over_sinks else z[:, n_sink:].softmax(-1)
        scores = weights.view(keys.shape[0], group, -1).mean(1)
        return (scores + eps) * values.double()[:, n_sink:].norm(2, -1) if use_vnorm else scores

    def n_flops(self, arguments):
        return 2 * arguments[0].shape[1] * arguments[3].numel()

    def large(self, dtype, ragged):
        return (
            *self.arguments(8, 4, tokens(16384), 128, dtype, quadratic=True),
            4,
            False,
            True,
            0.02,
        )


@operator
class OracleStep(Operator):
    name = "oracle_step"
    changed = (0,)

    def arguments(self, n_heads, group, n_tokens, n_keys, d, dtype):
        n_queries = n_heads * group
        return (
            randn(n_heads, n_tokens).abs() / n_tokens,
            randn(n_queries, d, dtype=dtype),
            randn(n_heads, n_keys, d, dtype=dtype),
            randn(n_queries, n_tokens).abs(),
            d**-0.5,
        )

    def tolerance(self, dtype):
        return 1e-4, 1e-7

    def cases(self, dtype):
        for sizes in [
            (1, 1, 1, 1, 16),
            (2, 3, 31, 40, 64),
            (2, 4, 300, 301, 80),
            (1, 8, 65, 70, 128),
        ]:
            yield self.arguments(*sizes, dtype)

    def expected(self, importance, query, keys, norms, scale):
        group = query.shape[0] // keys.shape[0]
        logits = torch.einsum(
            "qd,qtd->qt", query.double(), keys.double().repeat_interleave(group, 0)
        )
        paid = (logits * scale).softmax(-1)[:, : norms.shape[1]] * norms.double()
        return torch.maximum(importance.double(), paid.view(keys.shape[0], group, -1).amax(1))

    def large(self, dtype, ragged):
        n_tokens = tokens(16384)
        return self.arguments(8, 4, n_tokens, n_tokens + 64, 128, dtype)
