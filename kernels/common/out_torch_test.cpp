// The forms of operators that write into the caller's tensors: the same bits as the others', and no
// tensor is taken that does not fit.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/argmax/argmax_torch.h"
#include "kernels/cache_attention/cache_attention_torch.h"
#include "kernels/gated_activation/gated_activation_torch.h"
#include "kernels/norm_rope/norm_rope_torch.h"
#include "kernels/packed_linear/packed_linear_torch.h"
#include "kernels/rms_norm/rms_norm_torch.h"

namespace kvbench {
namespace {

// call(out) writes what `want` holds, and refuses other sizes, dtypes and strides.
template <class F>
void expect_writes(const at::Tensor& want, F&& call) {
  const at::Tensor out = at::empty_like(want);
  call(out);
  EXPECT_TRUE(at::equal(out, want));
  const auto other = want.scalar_type() == at::kHalf ? at::kFloat : at::kHalf;
  EXPECT_THROW(call(at::empty_like(want, other)), c10::Error);
  EXPECT_THROW(call(at::empty({want.numel() + 1}, want.options())), c10::Error);
  auto twice = want.sizes().vec();
  twice.back() *= 2;
  EXPECT_THROW(call(at::empty(twice, want.options()).slice(-1, 0, twice.back(), 2)), c10::Error);
}

TEST(OutForms, WriteWhatTheOthersReturn) {
  at::manual_seed(3);
  const at::Tensor workspace = at::empty({0}, at::kByte);
  const at::Tensor x = at::randn({3, 1, 32}), weight = at::randn({32});
  expect_writes(rms_norm(x, weight, 1e-5),
                [&](const at::Tensor& out) { rms_norm_out(x, weight, 1e-5, {}, out); });
  expect_writes(gated_activation(x, "silu"),
                [&](const at::Tensor& out) { gated_activation_out(x, "silu", out); });
  const at::Tensor packed = pack_weight(at::randn({5, 32})), bias = at::randn({5});
  expect_writes(packed_linear(x, packed, 5, bias),
                [&](const at::Tensor& out) { packed_linear_out(x, packed, 5, bias, out); });
  const at::Tensor logits = at::randn({3, 40});
  expect_writes(argmax_lowest(logits),
                [&](const at::Tensor& out) { argmax_lowest_out(logits, workspace, out); });

  const at::Tensor query = at::randn({1, 1, 4, 16}), keys = at::randn({12, 16});
  const at::Tensor starts = at::tensor({0, 6}, at::kLong).view({1, 2});
  const at::Tensor lengths = at::tensor({5, 6}, at::kLong).view({1, 2});
  expect_writes(
      cache_attention(query, keys, keys, starts, lengths, 0.25), [&](const at::Tensor& out) {
        cache_attention_out(query, keys, keys, starts, lengths, 0.25, 0, {}, {}, workspace, out);
      });

  const at::Tensor qkv = at::randn({2, 1, 4 * 16}), angles = at::randn({2, 1, 1, 8});
  const at::Tensor of_head = at::randn({16});
  const auto [queries, rotated, normed] =
      norm_rope(qkv, 2, 1, angles, angles, of_head, of_head, 1e-5);
  const auto into = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& n) {
    norm_rope_out(qkv, 2, 1, angles, angles, of_head, of_head, 1e-5, q, k, n);
  };
  const at::Tensor q = at::empty_like(queries), k = at::empty_like(rotated);
  expect_writes(queries, [&](const at::Tensor& out) { into(out, k, q); });
  expect_writes(rotated, [&](const at::Tensor& out) { into(q, out, at::empty_like(normed)); });
  expect_writes(normed, [&](const at::Tensor& out) { into(q, k, out); });
}

}  // namespace
}  // namespace kvbench
