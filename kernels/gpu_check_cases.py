"""The operators that gpu_check.py checks and times: small arguments for the checks, what to expect of
them, by formulas in double, and large ones for the timing.
"""

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


OPERATORS = {}


def operator(entry):
    OPERATORS[entry.name] = entry()
    return entry


class Operator:
    dtypes = (FLOAT32, BFLOAT16, FLOAT16)
    changed = ()  # places of the arguments that are changed in place
    ragged = False  # large(dtype, True) differs from large(dtype, False), its bytes do not

    # cases(dtype): tuples of small arguments
    # expected(*arguments): results, then changed arguments; floats in double
    # large(dtype, ragged): arguments of a model's size

    def tolerance(self, dtype):
        """Relative and absolute: by default of a float32 result, for sums in float32."""
        return 1e-5, 1e-5

    def n_flops(self, arguments):
        """Of an operator that arithmetic may hold up, else None."""

    def outputs(self, arguments, results):
        """What of the results and changed arguments is defined."""
        return results + tuple(arguments[i] for i in self.changed)

    def n_bytes(self, arguments, results):
        """What must be moved: arguments in, results out, what is changed both ways."""
        moved = list(arguments) + list(results) + [arguments[i] for i in self.changed]
        return sum(x.nbytes for x in moved if isinstance(x, torch.Tensor))

    def run(self, arguments):
        results = getattr(torch.ops.kvbench, self.name)(*arguments)
        if results is None:
            return ()
        return tuple(results) if isinstance(results, (tuple, list)) else (results,)


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
            keys[:, n_tokens // 2 :] = keys[:, : n_tokens - n_tokens // 2].clone()  # twins; no other is alike
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


def column_sums(queries, keys, scale, reduce="none", causal=True):
    """Softmax weights of the latest queries, summed over them: [Hq, T], or [H, T] of groups."""
    group, (n_queries, n_tokens) = queries.shape[0] // keys.shape[0], (
        queries.shape[1],
        keys.shape[1],
    )
    logits = queries.double() @ keys.double().repeat_interleave(group, 0).transpose(1, 2) * scale
    future = torch.ones(n_queries, n_tokens, dtype=torch.bool, device=device)
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


@operator
class TopPositions(Operator):
    name = "top_positions"
    dtypes = (FLOAT32,)

    def cases(self, dtype):
        yield randn(1, 1), integers([1], torch.int32), 1, 0, 0
        yield randn(4, 31), integers([0, 1, 31, 7], torch.int32), 64, 4, 8
        ties = torch.randint(-2, 3, (5, 1500), device=device) / 2 * 1.0
        ties[0, ::7] = -0.0
        yield ties, integers([700, 1, 0, 1500, 333], torch.int32), 3000, 0, 0
        yield ties, integers([2, 5, 100, 64, 33], torch.int32), 400, 4, 32
        with_nan = randn(3, 40)
        with_nan[1, 5] = torch.nan
        yield with_nan, integers([5, 5, 41], torch.int32), 60, 0, 0

    def expected(self, scores, counts, at_most, sink, recent):
        n_heads, n_tokens = scores.shape
        index = torch.arange(n_tokens, device=device)
        rank = scores.double() + 0.0  # of one zero
        rank[:, max(n_tokens - recent, 0) :] = 1e6 + index[max(n_tokens - recent, 0) :].double()
        rank[:, :sink] = 1e9 - index[:sink].double()
        positions, offsets, invalid = [], [0], []
        for head in range(n_heads):
            n = int(counts[head])
            bad = bool(scores[head].isnan().any()) or not 0 <= n <= n_tokens
            order = rank[head].sort(descending=True, stable=True).indices
            positions.append(order[: 0 if bad else n].sort().values)
            offsets.append(offsets[-1] + len(positions[-1]))
            invalid.append(int(bad))
        return torch.cat(positions), integers(offsets), integers(invalid)

    def outputs(self, arguments, results):
        positions, offsets, invalid = results
        return positions[: int(offsets[-1])], offsets, invalid

    def large(self, dtype, ragged):
        n_tokens = tokens(16384)
        return (
            randn(8, n_tokens),
            integers([n_tokens // 5] * 8, torch.int32),
            8 * n_tokens // 5,
            4,
            32,
        )


@operator
class FlattenedCounts(Operator):
    name = "flattened_counts"
    dtypes = (FLOAT32,)

    def cases(self, dtype):
        yield randn(1, 1), 1, 0
        yield randn(4, 31), 60, 5
        ties = torch.randint(-2, 3, (5, 1500), device=device) / 2 * 1.0
        ties[0, ::7] = -0.0
        yield ties, 2000, 0
        yield ties, 777, 100
        yield ties, 7500, 3

    def expected(self, scores, total, safe):
        rank = scores.double() + 0.0  # of one zero
        rank.scatter_(1, rank.topk(safe, 1).indices, torch.inf)
        chosen = rank.flatten().sort(descending=True, stable=True).indices[:total]
        return torch.bincount(chosen // scores.shape[1], minlength=scores.shape[0])

    def large(self, dtype, ragged):
        n_tokens = tokens(16384)
        return randn(8, n_tokens), 8 * n_tokens // 5, n_tokens // 25


@operator
class ArgmaxLowest(Operator):
    name = "argmax_lowest"
    dtypes = (FLOAT32,)

    def cases(self, dtype):
        yield (randn(1, 1),)
        yield (randn(3, 31),)
        yield (torch.randint(-5, 5, (4, 70001), device=device) / 2,)  # ties
        with_nan = randn(3, 3000)
        with_nan[1, 2999] = torch.nan
        yield (with_nan,)

    def expected(self, logits):
        lowest = logits.double().sort(dim=-1, descending=True, stable=True).indices[:, 0]
        return lowest.where(~logits.isnan().any(-1), -1)

    def large(self, dtype, ragged):
        return (randn(16, 128256 if device.type == "cuda" else 4096),)


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
        return [x.to(device) for x in plan]

    def expected(self, query, keys, values, starts, lengths, scale, window, *plan):
        out = torch.empty(query.shape, dtype=torch.double, device=device)
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


@operator
class CacheAppend(Operator):
    name = "cache_append"
    changed = (2, 3)

    def arguments(self, n_tokens, lengths, d, dtype):
        rows = [randn(len(lengths), n_tokens, len(lengths[0]), d, dtype=dtype) for _ in range(2)]
        return *rows, *cache(lengths, d, dtype, gap=2)

    def cases(self, dtype):
        yield self.arguments(1, [[1]], 16, dtype)
        yield self.arguments(1, [[1, 70], [20, 31]], 80, dtype)
        yield self.arguments(5, [[5, 70, 6]], 128, dtype)

    def expected(self, keys, values, cached_keys, cached_values, starts, lengths):
        cached = cached_keys.clone(), cached_values.clone()
        for s, h in torch.cartesian_prod(*map(torch.arange, starts.shape)).view(-1, 2).tolist():
            end = int(starts[s, h] + lengths[s, h])
            for new, old in zip((keys, values), cached):
                old[end - keys.shape[1] : end] = new[s, :, h]
        return cached

    def n_bytes(self, arguments, results):
        return 2 * (arguments[0].nbytes + arguments[1].nbytes)

    def large(self, dtype, ragged):
        return self.arguments(tokens(1024), [[tokens(1024) + 5] * 8] * 4, 128, dtype)


@operator
class CacheGather(Operator):
    name = "cache_gather"
    changed = (5, 6)
    ragged = True

    def arguments(self, n_tokens, counts, d, dtype, gap=3):
        counts = torch.as_tensor(counts)
        kept = [torch.randperm(n_tokens)[:n].sort().values for n in counts]
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        starts = offsets[:-1] + gap * torch.arange(len(counts))
        n_rows = int(offsets[-1]) + gap * len(counts)
        return (
            randn(len(counts), n_tokens, d, dtype=dtype),
            randn(len(counts), n_tokens, d, dtype=dtype),
            torch.cat(kept).int().to(device),
            offsets.int().to(device),
            starts.to(device),
            randn(n_rows, d, dtype=dtype),
            randn(n_rows, d, dtype=dtype),
        )

    def cases(self, dtype):
        yield self.arguments(1, [1], 16, dtype)
        yield self.arguments(31, [0, 31, 1, 7], 80, dtype)
        yield self.arguments(300, [299, 0, 150], 128, dtype)

    def expected(self, keys, values, positions, offsets, starts, out_keys, out_values):
        outs = out_keys.clone(), out_values.clone()
        for h in range(len(starts)):
            rows = positions[offsets[h] : offsets[h + 1]].long()
            for source, out in zip((keys, values), outs):
                out[starts[h] : starts[h] + len(rows)] = source[h, rows]
        return outs

    def n_bytes(self, arguments, results):
        return 4 * len(arguments[2]) * arguments[0][0, 0].nbytes  # kept rows, read and written

    def large(self, dtype, ragged):
        n_tokens = tokens(16384)
        counts = ragged_shares(8, 8 * n_tokens // 5, ragged)
        return self.arguments(n_tokens, counts.clamp(max=n_tokens), 128, dtype, gap=0)


@operator
class CacheMove(Operator):
    name = "cache_move"
    changed = (5, 6)
    ragged = True

    def arguments(self, lengths, d, dtype, gap=2):
        rows = [randn(sum(lengths), d, dtype=dtype) for _ in range(2)]
        room = [randn(sum(lengths) + gap * len(lengths), d, dtype=dtype) for _ in range(2)]
        starts = [sum(lengths[:h]) for h in range(len(lengths))]
        return *rows, starts, [s + gap * h for h, s in enumerate(starts)], lengths, *room

    def cases(self, dtype):
        yield self.arguments([1], 16, dtype)
        yield self.arguments([31, 0, 1, 7] * 20, 80, dtype)
        yield self.arguments([300, 0, 150], 128, dtype)

    def expected(self, keys, values, starts, to, lengths, out_keys, out_values):
        outs = out_keys.clone(), out_values.clone()
        for start, first, n in zip(starts, to, lengths):
            for source, out in zip((keys, values), outs):
                out[first : first + n] = source[start : start + n]
        return outs

    def n_bytes(self, arguments, results):
        return 2 * (arguments[0].nbytes + arguments[1].nbytes)

    def large(self, dtype, ragged):
        lengths = ragged_shares(16 * 8, 16 * 8 * tokens(4096), ragged).tolist()
        return self.arguments(lengths, 128, dtype, gap=64)


@operator
class HoldsPositions(Operator):
    name = "holds_positions"
    dtypes = (torch.int32,)

    def arguments(self, n_tokens, counts, wanted):
        kept = [torch.randperm(n_tokens)[:n] for n in counts]
        offsets = torch.tensor([0, *counts]).cumsum(0)
        chosen = torch.randperm(n_tokens)[:wanted].sort().values
        return tuple(x.int().to(device) for x in (torch.cat(kept), offsets, chosen))

    def cases(self, dtype):
        yield self.arguments(1, [1], 1)
        yield self.arguments(31, [0, 31, 1, 7], 5)
        yield self.arguments(3000, [2000, 0, 150], 70)

    def expected(self, positions, offsets, wanted):
        rows = [torch.isin(wanted, positions[a:b]) for a, b in zip(offsets[:-1], offsets[1:])]
        return torch.stack(rows).to(torch.uint8)

    def large(self, dtype, ragged):
        n_tokens = tokens(16384)
        return self.arguments(n_tokens, [n_tokens // 5] * 8, 20)


@operator
class CacheCut(Operator):
    name = "cache_cut"
    changed = (3, 4, 5)
    ragged = True

    def arguments(self, lengths, counts, d, dtype, gap=3):
        keys, values, starts, lengths = cache(lengths, d, dtype, gap)
        counts = torch.as_tensor(counts)
        kept = [torch.randperm(n)[:k].sort().values for n, k in zip(lengths.tolist(), counts)]
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        positions = torch.cat(kept).int().to(device)
        return positions, offsets.int().to(device), starts, keys, values, lengths

    def cases(self, dtype):
        yield self.arguments([1], [1], 16, dtype)
        yield self.arguments([31, 31, 1, 40], [0, 31, 1, 7], 80, dtype)
        yield self.arguments([300, 299, 290], [299, 0, 150], 128, dtype)

    def expected(self, positions, offsets, starts, keys, values, lengths):
        keys, values = keys.clone(), values.clone()
        before = []
        for start, begin, end in zip(starts.tolist(), offsets[:-1].tolist(), offsets[1:].tolist()):
            kept, n = positions[begin:end].tolist(), end - begin
            # Holes below n take the rows from n on, in order.
            moved = iter([row for row in kept if row >= n])
            stay = {row for row in kept if row < n}
            rows = [row if row in stay else next(moved) for row in range(n)]
            for x in (keys, values):
                x[start : start + n] = x[[start + row for row in rows]]
            before += rows
        return integers(before, torch.int32), keys, values, offsets.diff().long()

    def n_bytes(self, arguments, results):
        positions, offsets = arguments[:2]
        rows = torch.arange(len(positions), device=device)
        heads = torch.repeat_interleave(offsets[:-1], offsets.diff())
        n_moved = int((results[0] != rows - heads).sum())
        moved = 4 * n_moved * arguments[3][0].nbytes  # read and written
        return moved + positions.nbytes + results[0].nbytes

    def large(self, dtype, ragged):
        # Eight heads alone are cut in less time than it takes to start the kernels.
        n_tokens, n_heads = tokens(16384), 64
        counts = ragged_shares(n_heads, n_heads * n_tokens // 5, ragged).clamp(max=n_tokens)
        return self.arguments([n_tokens] * n_heads, counts, 128, dtype, gap=0)


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
        angles = torch.rand(n_sequences, m, 1, d // 2, device=device) * 7
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
        normed = torch.empty(0, dtype=torch.double, device=device)
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
