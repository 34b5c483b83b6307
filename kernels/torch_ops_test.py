"""The operators as Python calls them, against plain torch.

    python torch_ops_test.py LIBRARY      (libkvbench_ops.so; 77: this Python has no usable torch)
"""

import os
import sys
import unittest

# Where CUDA's libraries are empty stand-ins (harness/toolchain/setup.sh), their functions must be
# looked for when called, which a CPU never does, and not when torch is loaded.
sys.setdlopenflags(os.RTLD_LAZY)
try:
    import torch
except ImportError as error:
    print(f"skipped: `import torch` fails ({error}); `./kvbench test` installs what it needs")
    sys.exit(77)


def ragged(lengths, head_dim, dtype):
    """A buffer per sequence, its heads behind gaps of NaN: keys, values, starts, lengths."""
    keys, values, starts = [], [], []
    for of_heads in lengths:
        gap = torch.full((3, head_dim), torch.nan)
        rows, begin = [], 0
        starts.append([])
        for length in of_heads:
            starts[-1].append(begin + 3)
            rows += [gap, torch.randn(length, head_dim)]
            begin += 3 + length
        keys.append(torch.cat(rows).to(dtype))
        values.append(-2 * keys[-1])
    return keys, values, torch.tensor(starts), torch.tensor(lengths)


def attention(query, keys, values, starts, lengths, scale):
    """The formula of kernels/ragged_attention.h in double."""
    out = torch.empty(query.shape, dtype=torch.double)
    n_tokens, n_heads = query.shape[1:3]
    group = n_heads // starts.shape[1]
    for s in range(query.shape[0]):
        for q in range(n_heads):
            start, length = starts[s, q // group], lengths[s, q // group]
            for i in range(n_tokens):
                rows = slice(start, start + length - n_tokens + 1 + i)
                scores = keys[s][rows].double() @ query[s, i, q].double() * scale
                out[s, i, q] = scores.softmax(0) @ values[s][rows].double()
    return out


class RaggedAttention(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(7)

    def test_equals_the_formula(self):
        # float32: the order of up to 200 terms; bfloat16: one rounding of outputs below 8.
        for n_tokens, dtype, tolerance in [
            (1, torch.float32, 2e-5),
            (5, torch.float32, 2e-5),
            (5, torch.bfloat16, 3.2e-2),
        ]:
            with self.subTest(n_tokens=n_tokens, dtype=dtype):
                cache = ragged([[n_tokens, 70], [200, 64], [9, 33]], 16, dtype)
                query = torch.randn(3, n_tokens, 6, 16).to(dtype)
                out = torch.ops.kvbench.ragged_attention(query, *cache, 0.25)
                expected = attention(query, *cache, 0.25)
                self.assertEqual((out.shape, out.dtype), (query.shape, dtype))
                self.assertLessEqual((out - expected).abs().max().item(), tolerance)

    def test_refuses_what_does_not_fit(self):
        keys, values, starts, lengths = ragged([[5, 6]], 16, torch.float32)
        query = torch.randn(1, 1, 4, 16)
        call = torch.ops.kvbench.ragged_attention
        call(query, keys, values, starts, lengths, 1.0)
        for message, arguments in [
            ("query: expected", (query[0], keys, values, starts, lengths)),
            ("multiple of KV heads", (query[:, :, :3], keys, values, starts, lengths)),
            ("keys: expected", (query[..., :8], keys, values, starts, lengths)),
            ("values: expected", (query, keys, [values[0].half()], starts, lengths)),
            ("of 1 sequences", (query, keys * 2, values, starts, lengths)),
            ("starts and lengths: expected", (query, keys, values, starts.int(), lengths)),
            ("do not fit a buffer", (query, keys, values, starts, lengths + 1)),
        ]:
            with self.subTest(message), self.assertRaisesRegex(RuntimeError, message):
                call(*arguments, 1.0)


class RaggedRows(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(7)
        self.source = torch.randn(2, 5, 8)  # 2 KV heads, 5 tokens
        self.kept = torch.tensor([0, 4, 1, 2, 3])
        self.offsets = torch.tensor([0, 2, 5])
        self.starts = torch.tensor([0, 3])  # a row of slack behind the first head
        self.out = torch.zeros(7, 8)

    def test_gather_then_append(self):
        expected = torch.zeros(7, 8)
        expected[0:2] = self.source[0, [0, 4]]
        expected[3:6] = self.source[1, [1, 2, 3]]
        torch.ops.kvbench.ragged_gather(
            self.source, self.kept, self.offsets, self.starts, self.out
        )
        self.assertTrue(torch.equal(self.out, expected))

        rows = torch.randn(1, 1, 2, 8)
        expected[2], expected[6] = rows[0, 0]
        lengths = torch.tensor([[3, 4]])  # the new row included
        torch.ops.kvbench.ragged_append(rows, [self.out], self.starts[None], lengths)
        self.assertTrue(torch.equal(self.out, expected))

    def test_gather_refuses_what_does_not_fit(self):
        source, kept, offsets = self.source, self.kept, self.offsets
        starts, out = self.starts, self.out
        call = torch.ops.kvbench.ragged_gather
        call(source, kept, offsets, starts, out)
        for error, message, arguments in [
            (RuntimeError, "source: expected", (source[0], kept, offsets, starts, out)),
            (RuntimeError, "out: expected", (source, kept, offsets, starts, out[:, :4])),
            (RuntimeError, "expected offsets", (source, kept, offsets[:2], starts, out)),
            (RuntimeError, "do not fit 7 rows", (source, kept, offsets, starts + 2, out)),
            (IndexError, "outside a context of 5", (source, kept + 1, offsets, starts, out)),
        ]:
            with self.subTest(message), self.assertRaisesRegex(error, message):
                call(*arguments)

    def test_append_refuses_what_does_not_fit(self):
        rows, starts, lengths = torch.randn(1, 1, 2, 8), self.starts[None], torch.tensor([[3, 4]])
        call = torch.ops.kvbench.ragged_append
        call(rows, [self.out], starts, lengths)
        for message, arguments in [
            ("rows: expected", (rows[0], [self.out], starts, lengths)),
            ("expected 1 buffers", (rows, [self.out] * 2, starts, lengths)),
            ("rows have 1 KV heads", (rows[:, :, :1], [self.out], starts, lengths)),
            ("buffers: expected", (rows, [self.out.double()], starts, lengths)),
            ("do not fit a buffer", (rows, [self.out], starts, lengths + 1)),
        ]:
            with self.subTest(message), self.assertRaisesRegex(RuntimeError, message):
                call(*arguments)


if __name__ == "__main__":
    torch.ops.load_library(sys.argv.pop())
    unittest.main()
