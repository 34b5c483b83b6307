// The projection with a packed weight as LibTorch operators, torch.ops.kvbench.packed_linear and
// what makes and reads its weight: of a CPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace kvbench {

// weight [out, in], float32, bfloat16 or float16 -> [panels, in padded, PackedForm::kPanel] (what
// the last two say of places is PackedForm's matter), of this machine alone: of the same dtype, or
// bfloat16 where all numbers of a float32 weight are of bfloat16.
at::Tensor pack_weight(const at::Tensor& weight);

// x [..., in] and bias [out] of the weight's dtype, and the packed weight -> [..., out]. Throws
// c10::Error when shapes, dtypes or devices do not fit.
at::Tensor packed_linear(const at::Tensor& x, const at::Tensor& packed, int64_t n_out,
                         const std::optional<at::Tensor>& bias);

// The same into `out`, contiguous.
void packed_linear_out(const at::Tensor& x, const at::Tensor& packed, int64_t n_out,
                       const std::optional<at::Tensor>& bias, const at::Tensor& out);

// Rows of the weight, ids int64 [n], into out [n, in] of its dtype, contiguous. Throws c10::Error
// when an id is past the last panel, whose rows past the last output are zeros.
void packed_rows_out(const at::Tensor& packed, const at::Tensor& ids, const at::Tensor& out);

}  // namespace kvbench
