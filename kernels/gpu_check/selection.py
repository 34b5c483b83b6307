"""What is chosen by scores and logits."""

import torch

import inputs
from inputs import FLOAT32, integers, randn, tokens
from operators import Operator, operator


@operator
class TopPositions(Operator):
    name = "top_positions"
    dtypes = (FLOAT32,)

    def cases(self, dtype):
        yield randn(1, 1), integers([1], torch.int32), 1, 0, 0
        yield randn(4, 31), integers([0, 1, 31, 7], torch.int32), 64, 4, 8
        ties = torch.randint(-2, 3, (5, 1500), device=inputs.device) / 2 * 1.0
        ties[0, ::7] = -0.0
        yield ties, integers([700, 1, 0, 1500, 333], torch.int32), 3000, 0, 0
        yield ties, integers([2, 5, 100, 64, 33], torch.int32), 400, 4, 32
        with_nan = randn(3, 40)
        with_nan[1, 5] = torch.nan
        yield with_nan, integers([5, 5, 41], torch.int32), 60, 0, 0

    def expected(self, scores, counts, at_most, sink, recent):
        n_heads, n_tokens = scores.shape
        index = torch.arange(n_tokens, device=inputs.device)
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
        ties = torch.randint(-2, 3, (5, 1500), device=inputs.device) / 2 * 1.0
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
        yield (torch.randint(-5, 5, (4, 70001), device=inputs.device) / 2,)  # ties
        with_nan = randn(3, 3000)
        with_nan[1, 2999] = torch.nan
        yield (with_nan,)

    def expected(self, logits):
        lowest = logits.double().sort(dim=-1, descending=True, stable=True).indices[:, 0]
        return lowest.where(~logits.isnan().any(-1), -1)

    def large(self, dtype, ragged):
        return (randn(16, 128256 if inputs.device.type == "cuda" else 4096),)
