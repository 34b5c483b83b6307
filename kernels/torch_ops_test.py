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


class CacheAttention(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(7)
        self.query = torch.randn(1, 1, 4, 16)
        self.keys, self.values = torch.randn(12, 16), torch.randn(12, 16)
        self.starts, self.lengths = torch.tensor([[0, 6]]), torch.tensor([[5, 6]])

    def test_equals_the_formula(self):
        out = torch.ops.kvbench.cache_attention(
            self.query, self.keys, self.values, self.starts, self.lengths, 0.25
        )
        for q in range(4):
            start, length = self.starts[0, q // 2], self.lengths[0, q // 2]
            rows = slice(start, start + length)
            scores = self.keys[rows].double() @ self.query[0, 0, q].double() * 0.25
            expected = scores.softmax(0) @ self.values[rows].double()
            self.assertLessEqual((out[0, 0, q] - expected).abs().max().item(), 1e-5)

    def test_refuses_what_does_not_fit(self):
        query, keys, values = self.query, self.keys, self.values
        starts, lengths = self.starts, self.lengths
        call = torch.ops.kvbench.cache_attention
        call(query, keys, values, starts, lengths, 1.0)
        for message, arguments in [
            ("query: expected", (query[0], keys, values, starts, lengths)),
            ("multiple of KV heads", (query[:, :, :3], keys, values, starts, lengths)),
            ("query: expected", (query[..., :8], keys, values, starts, lengths)),
            ("one contiguous form", (query, keys, values.half(), starts, lengths)),
            ("query: expected", (query.expand(2, 1, 4, 16), keys, values, starts, lengths)),
            ("starts: expected", (query, keys, values, starts.int(), lengths)),
            ("do not fit buffers", (query, keys, values, starts, lengths + 1)),
        ]:
            with self.subTest(message), self.assertRaisesRegex(RuntimeError, message):
                call(*arguments, 1.0)


class CacheRows(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(7)
        self.keys, self.values = torch.randn(2, 5, 8), torch.randn(2, 5, 8)  # [H, T, d]
        self.positions = torch.tensor([0, 4, 1, 2, 3], dtype=torch.int32)
        self.offsets = torch.tensor([0, 2, 5], dtype=torch.int32)
        self.starts = torch.tensor([0, 3])  # a row of slack behind the first head
        self.out = [torch.zeros(7, 8), torch.zeros(7, 8)]

    def gather(self, **changed):
        given = {**self.__dict__, **changed}
        torch.ops.kvbench.cache_gather(
            *(given[k] for k in ("keys", "values", "positions", "offsets", "starts")), *given["out"]
        )

    def test_gather_then_append(self):
        self.gather()
        expected = torch.zeros(7, 8)
        expected[0:2] = self.keys[0, [0, 4]]
        expected[3:6] = self.keys[1, [1, 2, 3]]
        self.assertTrue(torch.equal(self.out[0], expected))

        rows = torch.randn(1, 1, 2, 8)
        expected[2], expected[6] = rows[0, 0]
        lengths = torch.tensor([[3, 4]])  # the new row included
        torch.ops.kvbench.cache_append(rows, -rows, *self.out, self.starts[None], lengths)
        self.assertTrue(torch.equal(self.out[0], expected))
        self.assertTrue(torch.equal(self.out[1][6], -rows[0, 0, 1]))

    def test_gather_refuses_what_does_not_fit(self):
        self.gather()
        for error, message, changed in [
            (RuntimeError, "one form", {"keys": self.keys[0]}),
            (RuntimeError, "outputs: expected", {"out": [self.out[0][:, :4], self.out[1]]}),
            (RuntimeError, "offsets: expected", {"offsets": self.offsets[:2]}),
            (RuntimeError, "do not fit 7 rows", {"starts": self.starts + 2}),
            (IndexError, "outside a context of 5", {"positions": self.positions + 1}),
        ]:
            with self.subTest(message), self.assertRaisesRegex(error, message):
                self.gather(**changed)

    def test_append_refuses_what_does_not_fit(self):
        rows, starts, lengths = torch.randn(1, 1, 2, 8), self.starts[None], torch.tensor([[3, 4]])
        call = torch.ops.kvbench.cache_append
        call(rows, rows, *self.out, starts, lengths)
        for message, arguments in [
            ("one form", (rows[0], rows, *self.out, starts, lengths)),
            ("keys: expected", (rows[:, :, :1], rows[:, :, :1], *self.out, starts, lengths)),
            ("one contiguous form", (rows, rows, self.out[0].double(), self.out[1], starts, lengths)),
            ("do not fit buffers", (rows, rows, *self.out, starts, lengths + 1)),
        ]:
            with self.subTest(message), self.assertRaisesRegex(RuntimeError, message):
                call(*arguments)


if __name__ == "__main__":
    torch.ops.load_library(sys.argv.pop())
    unittest.main()
