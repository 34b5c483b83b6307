"""Attention, and what it is worth to the tokens that get it."""

import torch

import inputs
from inputs import FLOAT32, ROUNDING, cache, n_decode_items, ragged_shares, randn, tokens
from operators import Operator, operator


def column_sums(queries, keys, scale, reduce="none", causal=True):
    """Softmax weights of the latest queries, summed over them: [Hq, T], or [H, T] of groups."""
    group, (n_queries, n_tokens) = queries.shape[0] // keys.shape[0], (
        queries.shape[1],
        keys.shape[1],
    )
    logits = queries.double() @ keys.double().repeat_interleave(group, 0).transpose(1, 2) * scale
    future = torch.ones(n_queries, n_tokens, dtype=torch.bool, device=inputs.device)
    if causal:
        logits.masked_fill_(future.triu(n_tokens - n_queries + 1), -torch.inf)
    by_group = (keys.shape[0], group)
    if reduce == "max_logit":
        return logits.unflatten(0, by_group).amax(1).softmax(-1).sum(1)
    weights = logits.softmax(-1)
    if reduce == "max":
        weights = weights.unflatten(0, by_group).amax(1)
    sums = weights.sum(1)
    return sums.unflatten(0, by_group).mean(1) if reduce == "mean" else sums


@operator
class AttentionColumnSums(Operator):
    name = "attention_column_sums"

    def tolerance(self, dtype):
        return 1e-4, 1e-6

    def arguments(self, n_heads, group, n_queries, n_tokens, d, dtype):
        queries = randn(n_heads * group, n_queries, d, dtype=dtype)
        return queries, randn(n_heads, n_tokens, d, dtype=dtype), d**-0.5

    def cases(self, dtype):
        for sizes in [
            (1, 1, 1, 1, 16),
            (2, 3, 31, 40, 64),
            (2, 4, 9, 300, 80),
            (1, 8, 65, 65, 128),
        ]:
            for group in ["mean", "max", "max_logit", "none"]:
                for causal in [True, False]:
                    yield *self.arguments(*sizes, dtype), group, causal

    def expected(self, *arguments):
        return column_sums(*arguments)

    def n_flops(self, arguments):
        queries, keys = arguments[:2]
        return 2 * queries.numel() * keys.shape[1]

    def large(self, dtype, ragged):
        return *self.arguments(8, 4, tokens(2048), tokens(8192), 128, dtype), "mean", True


@operator
class PeakAttention(Operator):
    name = "peak_attention"

    def tolerance(self, dtype):
        return 1e-4, 1e-6

    def arguments(self, n_heads, group, n_queries, n_sinks, n_keys, d, dtype):
        queries = randn(2, n_heads * group, n_queries, d, dtype=dtype)
        keys = [randn(n_heads, n, d, dtype=dtype) for n in (n_sinks, n_keys, n_queries)]
        return *queries, *keys, d**-0.5

    def cases(self, dtype):
        for sizes in [
            (1, 1, 1, 0, 1, 16),
            (2, 3, 70, 4, 60, 64),
            (2, 4, 9, 70, 300, 80),
            (1, 8, 129, 4, 65, 128),
        ]:
            arguments = self.arguments(*sizes, dtype)
            yield arguments
            n_heads, group, n_queries, _, n_keys, _ = sizes
            yield *arguments, randn(n_queries).abs(), randn(n_heads * group, n_keys).abs()

    def expected(self, to_others, to_own, sinks, keys, own, scale, of_queries=None, of_keys=None):
        group = to_own.shape[0] // keys.shape[0]
        (to_others, to_own), (sinks, keys, own) = (
            [x.double() for x in (to_others, to_own)],
            [x.double().repeat_interleave(group, 0) for x in (sinks, keys, own)],
        )
        among_own = to_own @ own.mT
        among_own += torch.full_like(among_own, -torch.inf).triu(1)
        logits = torch.cat([to_others @ sinks.mT, to_others @ keys.mT, among_own], -1) * scale
        weights = logits.softmax(-1)[..., sinks.shape[1] : sinks.shape[1] + keys.shape[1]]
        if of_queries is not None:
            weights = weights * of_queries.double()[:, None] * of_keys.double()[:, None]
        return weights.amax(1).unflatten(0, (-1, group)).amax(1)

    def n_flops(self, arguments):
        queries, keys = arguments[0], arguments[3]
        return 2 * queries.numel() * (keys.shape[1] + queries.shape[1] // 2)

    def large(self, dtype, ragged):
        n = tokens(2048)
        return self.arguments(8, 4, n + 32, 4, n, 128, dtype)


@operator
class WindowScores(AttentionColumnSums):
    name = "window_scores"

    def cases(self, dtype):
        for sizes in [(1, 1, 1, 2, 16), (2, 3, 32, 40, 64), (2, 4, 9, 300, 80)]:
            for pooling, kernel, order, reduce in [
                ("max", 7, "pool_first", "mean"),
                ("avg", 5, "group_first", "max"),
                ("max", 1, "group_first", "sum"),
                ("avg", 13, "pool_first", "none"),
            ]:
                yield *self.arguments(*sizes, dtype), pooling, kernel, order, reduce

    def expected(self, queries, keys, scale, pooling, kernel, order, reduce):
        window = queries.shape[1]
        votes = column_sums(queries, keys, scale)[:, :-window] / window

        def pool(x):
            pool = (
                torch.nn.functional.max_pool1d
                if pooling == "max"
                else torch.nn.functional.avg_pool1d
            )
            return pool(x, kernel, stride=1, padding=kernel // 2)

        def of_group(x):
            if reduce == "none":
                return x
            by_group = x.unflatten(0, (keys.shape[0], -1))
            return by_group.amax(1) if reduce == "max" else getattr(by_group, reduce)(1)

        return of_group(pool(votes)) if order == "pool_first" else pool(of_group(votes))

    def large(self, dtype, ragged):
        sizes = 8, 4, 32, tokens(16384), 128
        return *self.arguments(*sizes, dtype), "max", 7, "pool_first", "mean"


@operator
class CacheAttention(Operator):
    name = "cache_attention"
    ragged = True

    def tolerance(self, dtype):
        # Weights of many query rows are rounded too, before they meet values of size 1.
        return ROUNDING[dtype] + 2e-5, 2e-5 if dtype == FLOAT32 else ROUNDING[dtype]

    def cases(self, dtype):
        for m, lengths, group, d, window in [
            (1, [[1]], 1, 16, 0),
            (1, [[1, 70], [200, 31], [9, 33]], 4, 64, 0),
            (5, [[5, 70, 6]], 3, 80, 0),
            (3, [[40], [513]], 8, 128, 0),
            (2, [[100, 100]], 1, 256, 33),
        ]:
            query = randn(len(lengths), m, len(lengths[0]) * group, d, dtype=dtype)
            cached = cache(lengths, d, dtype, gap=3)
            yield query, *cached, d**-0.5, window
            yield query, *cached, d**-0.5, window, *self.plan(lengths, 12)

    def plan(self, lengths, n_items):
        plan = torch.ops.kvbench.decode_plan(torch.as_tensor(lengths), n_items)
        return [x.to(inputs.device) for x in plan]

    def expected(self, query, keys, values, starts, lengths, scale, window, *plan):
        out = torch.empty(query.shape, dtype=torch.double, device=inputs.device)
        m, group = query.shape[1], query.shape[2] // starts.shape[1]
        for s, i, q in (
            torch.cartesian_prod(*map(torch.arange, query.shape[:3])).view(-1, 3).tolist()
        ):
            start = int(starts[s, q // group])
            end = start + int(lengths[s, q // group]) - m + 1 + i
            rows = slice(max(start, end - window) if window else start, end)
            weights = (keys[rows].double() @ query[s, i, q].double() * scale).softmax(0)
            out[s, i, q] = weights @ values[rows].double()
        return out

    def large(self, dtype, ragged):
        lengths = ragged_shares(16 * 8, 16 * 8 * tokens(4096), ragged).view(16, 8)
        plan = self.plan(lengths, n_decode_items(lengths))
        query = randn(16, 1, 32, 128, dtype=dtype)
        return query, *cache(lengths, 128, dtype), 128**-0.5, 0, *plan
