#include "kernels/ragged_rows_torch.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/checks_torch.h"
#include "kernels/ragged_rows.h"

namespace kvbench {
namespace {

void check_append(const at::Tensor& rows, at::TensorList buffers, const at::Tensor& starts,
                  const at::Tensor& lengths) {
  TORCH_CHECK(rows.dim() == 4, "rows: expected [S, m, H, d], got ", rows.sizes());
  TORCH_CHECK(static_cast<int64_t>(buffers.size()) == rows.size(0), "expected ", rows.size(0),
              " buffers, got ", buffers.size());
  check_segments(starts, lengths, rows.size(0), rows.device());
  TORCH_CHECK(starts.size(1) == rows.size(2), "rows have ", rows.size(2), " KV heads, starts ",
              starts.size(1));
  check_buffers(buffers, "buffers", rows, rows.size(3));
}

void ragged_append_on_cpu(const at::Tensor& rows, at::TensorList buffers, const at::Tensor& starts,
                          const at::Tensor& lengths) {
  check_append(rows, buffers, starts, lengths);
  check_bounds(buffers, starts, lengths, rows.size(1));
  const at::Tensor contiguous = rows.contiguous();
  std::vector<void*> pointers;
  for (const auto& buffer : buffers) pointers.push_back(buffer.mutable_data_ptr());
  RaggedAppend op;
  op.shape = {rows.size(0), rows.size(1), 0, rows.size(2), rows.size(3)};
  op.element_bytes = static_cast<int64_t>(rows.element_size());
  op.source = contiguous.const_data_ptr();
  op.buffers = pointers.data();
  op.starts = starts.const_data_ptr<int64_t>();
  op.lengths = lengths.const_data_ptr<int64_t>();
  ragged_append_cpu(op);
}

void check_gather(const at::Tensor& source, const at::Tensor& kept, const at::Tensor& offsets,
                  const at::Tensor& starts, const at::Tensor& out) {
  TORCH_CHECK(source.dim() == 3, "source: expected [H, T, d], got ", source.sizes());
  TORCH_CHECK(out.dim() == 2 && out.size(1) == source.size(2) && out.is_contiguous() &&
                  out.scalar_type() == source.scalar_type() && out.device() == source.device(),
              "out: expected contiguous ", source.scalar_type(), " [rows, ", source.size(2),
              "], got ", out.scalar_type(), " ", out.sizes());
  for (const auto* index : {&kept, &offsets, &starts}) {
    TORCH_CHECK(index->scalar_type() == at::kLong && index->dim() == 1 && index->is_contiguous(),
                "kept, offsets and starts: expected contiguous int64 vectors, got ",
                index->scalar_type(), " ", index->sizes());
  }
  TORCH_CHECK(offsets.numel() == source.size(0) + 1 && starts.numel() == source.size(0),
              "expected offsets [", source.size(0) + 1, "] and starts [", source.size(0), "], got ",
              offsets.sizes(), " and ", starts.sizes());
}

void ragged_gather_on_cpu(const at::Tensor& source, const at::Tensor& kept,
                          const at::Tensor& offsets, const at::Tensor& starts, at::Tensor& out) {
  check_gather(source, kept, offsets, starts, out);
  const auto* offset = offsets.const_data_ptr<int64_t>();
  const auto* start = starts.const_data_ptr<int64_t>();
  const auto* position = kept.const_data_ptr<int64_t>();
  TORCH_CHECK(offset[0] == 0 && offset[source.size(0)] == kept.numel(),
              "offsets must run from 0 to the number of kept rows, ", kept.numel());
  for (int64_t h = 0; h < source.size(0); ++h) {
    const int64_t count = offset[h + 1] - offset[h];
    TORCH_CHECK(count >= 0 && start[h] >= 0 && start[h] <= out.size(0) - count, "KV head ", h, ": ",
                count, " rows from row ", start[h], " on do not fit ", out.size(0), " rows");
  }
  for (int64_t i = 0; i < kept.numel(); ++i) {
    TORCH_CHECK_INDEX(position[i] >= 0 && position[i] < source.size(1), "kept position ",
                      position[i], " is outside a context of ", source.size(1), " tokens");
  }
  const at::Tensor contiguous = source.contiguous();
  RaggedGather op;
  op.n_kv_heads = source.size(0);
  op.n_rows = source.size(1);
  op.head_dim = source.size(2);
  op.element_bytes = static_cast<int64_t>(source.element_size());
  op.source = contiguous.const_data_ptr();
  op.kept = position;
  op.offsets = offset;
  op.starts = start;
  op.out = out.mutable_data_ptr();
  ragged_gather_cpu(op);
}

}  // namespace

void ragged_append_composite(const at::Tensor& rows, at::TensorList buffers,
                             const at::Tensor& starts, const at::Tensor& lengths) {
  check_append(rows, buffers, starts, lengths);
  const auto start = host(starts), length = host(lengths);
  const int64_t m = rows.size(1), n_heads = rows.size(2);
  for (int64_t s = 0; s < rows.size(0); ++s) {
    for (int64_t h = 0; h < n_heads; ++h) {
      const int64_t first = start[s * n_heads + h] + length[s * n_heads + h] - m;
      buffers[s].narrow(0, first, m).copy_(rows.select(0, s).select(1, h));
    }
  }
}

void ragged_append(const at::Tensor& rows, at::TensorList buffers, const at::Tensor& starts,
                   const at::Tensor& lengths) {
  static const auto op = find_operator<decltype(ragged_append)>("kvbench::ragged_append");
  op.call(rows, buffers, starts, lengths);
}

void ragged_gather_composite(const at::Tensor& source, const at::Tensor& kept,
                             const at::Tensor& offsets, const at::Tensor& starts, at::Tensor& out) {
  check_gather(source, kept, offsets, starts, out);
  const auto offset = host(offsets), start = host(starts);
  const at::Tensor position = kept.to(source.device());
  for (int64_t h = 0; h < source.size(0); ++h) {
    const int64_t count = offset[h + 1] - offset[h];
    out.narrow(0, start[h], count)
        .copy_(source.select(0, h).index_select(0, position.narrow(0, offset[h], count)));
  }
}

void ragged_gather(const at::Tensor& source, const at::Tensor& kept, const at::Tensor& offsets,
                   const at::Tensor& starts, at::Tensor& out) {
  static const auto op = find_operator<decltype(ragged_gather)>("kvbench::ragged_gather");
  op.call(source, kept, offsets, starts, out);
}

TORCH_LIBRARY_FRAGMENT(kvbench, library) {
  library.def(
      "ragged_append(Tensor rows, Tensor(a!)[] buffers, Tensor starts, Tensor lengths) -> ()");
  library.def(
      "ragged_gather(Tensor source, Tensor kept, Tensor offsets, Tensor starts, Tensor(a!) out) "
      "-> ()");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) {
  library.impl("ragged_append", ragged_append_on_cpu);
  library.impl("ragged_gather", ragged_gather_on_cpu);
}

// Devices without a kernel of their own.
TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("ragged_append", ragged_append_composite);
  library.impl("ragged_gather", ragged_gather_composite);
}

}  // namespace kvbench
