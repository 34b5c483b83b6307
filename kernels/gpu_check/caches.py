"""Rows that come into a cache, move in it and leave it."""

import torch

import inputs
from inputs import cache, integers, ragged_shares, randn, tokens
from operators import Operator, operator


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
            torch.cat(kept).int().to(inputs.device),
            offsets.int().to(inputs.device),
            starts.to(inputs.device),
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
        return tuple(x.int().to(inputs.device) for x in (torch.cat(kept), offsets, chosen))

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
        positions = torch.cat(kept).int().to(inputs.device)
        return positions, offsets.int().to(inputs.device), starts, keys, values, lengths

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
        rows = torch.arange(len(positions), device=inputs.device)
        heads = torch.repeat_interleave(offsets[:-1], offsets.diff())
        n_moved = int((results[0] != rows - heads).sum())
        moved = 4 * n_moved * arguments[3][0].nbytes  # read and written
        return moved + positions.nbytes + results[0].nbytes

    def large(self, dtype, ragged):
        # Eight heads alone are cut in less time than it takes to start the kernels.
        n_tokens, n_heads = tokens(16384), 64
        counts = ragged_shares(n_heads, n_heads * n_tokens // 5, ragged).clamp(max=n_tokens)
        return self.arguments([n_tokens] * n_heads, counts, 128, dtype, gap=0)
