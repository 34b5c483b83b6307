#include "kernels/tensor_ops.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/causal_softmax_sums.h"
#include "kernels/ragged_attention.h"
#include "kernels/ragged_rows.h"

namespace kvbench {
namespace {

DType dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return DType::kFloat32;
    case at::kBFloat16:
      return DType::kBFloat16;
    case at::kHalf:
      return DType::kFloat16;
    default:
      TORCH_CHECK(false, "expected float32, bfloat16 or float16, got ", tensor.scalar_type());
  }
}

// starts and lengths: int64 [S, H], contiguous, on the cache's device.
void check_segments(const at::Tensor& starts, const at::Tensor& lengths, int64_t n_sequences,
                    c10::Device device) {
  for (const auto* segments : {&starts, &lengths}) {
    TORCH_CHECK(segments->scalar_type() == at::kLong && segments->dim() == 2 &&
                    segments->size(0) == n_sequences && segments->is_contiguous() &&
                    segments->device() == device,
                "starts and lengths: expected contiguous int64 [", n_sequences, ", H] on ", device,
                ", got ", segments->scalar_type(), " ", segments->sizes(), " on ",
                segments->device());
  }
  TORCH_CHECK(starts.sizes() == lengths.sizes(), "starts ", starts.sizes(), " and lengths ",
              lengths.sizes(), " differ");
}

// One buffer per sequence: contiguous [rows, head_dim] of `like`'s dtype and device.
void check_buffers(at::TensorList buffers, const char* name, const at::Tensor& like,
                   int64_t head_dim) {
  for (const auto& buffer : buffers) {
    TORCH_CHECK(buffer.dim() == 2 && buffer.size(1) == head_dim && buffer.is_contiguous() &&
                    buffer.scalar_type() == like.scalar_type() && buffer.device() == like.device(),
                name, ": expected contiguous ", like.scalar_type(), " [rows, ", head_dim, "] on ",
                like.device(), ", got ", buffer.scalar_type(), " ", buffer.sizes(), " on ",
                buffer.device());
  }
}

// Every segment lies inside its buffer and holds the m new tokens. Reads the host copy of starts
// and lengths, so CPU kernels only.
void check_bounds(at::TensorList buffers, const at::Tensor& starts, const at::Tensor& lengths,
                  int64_t n_tokens) {
  const auto* start = starts.const_data_ptr<int64_t>();
  const auto* length = lengths.const_data_ptr<int64_t>();
  const int64_t n_heads = starts.size(1);
  for (size_t s = 0; s < buffers.size(); ++s) {
    for (int64_t h = 0; h < n_heads; ++h, ++start, ++length) {
      TORCH_CHECK(*start >= 0 && *length >= n_tokens && *start <= buffers[s].size(0) - *length,
                  "sequence ", s, ", KV head ", h, ": rows ", *start, " + ", *length, " with ",
                  n_tokens, " new ones do not fit a buffer of ", buffers[s].size(0), " rows");
    }
  }
}

void check_attention(const at::Tensor& query, at::TensorList keys, at::TensorList values,
                     const at::Tensor& starts, const at::Tensor& lengths) {
  TORCH_CHECK(query.dim() == 4, "query: expected [S, m, Hq, d], got ", query.sizes());
  const auto n_sequences = query.size(0);
  TORCH_CHECK(static_cast<int64_t>(keys.size()) == n_sequences &&
                  static_cast<int64_t>(values.size()) == n_sequences,
              "expected keys and values of ", n_sequences, " sequences, got ", keys.size(), " and ",
              values.size());
  check_segments(starts, lengths, n_sequences, query.device());
  check_buffers(keys, "keys", query, query.size(3));
  check_buffers(values, "values", query, query.size(3));
  TORCH_CHECK(starts.size(1) > 0 && query.size(2) % starts.size(1) == 0, "query heads ",
              query.size(2), " are not a multiple of KV heads ", starts.size(1));
}

at::Tensor ragged_attention_on_cpu(const at::Tensor& query, at::TensorList keys,
                                   at::TensorList values, const at::Tensor& starts,
                                   const at::Tensor& lengths, double scale) {
  check_attention(query, keys, values, starts, lengths);
  check_bounds(keys, starts, lengths, query.size(1));
  check_bounds(values, starts, lengths, query.size(1));
  const at::Tensor contiguous = query.contiguous();
  at::Tensor out = at::empty_like(contiguous);
  std::vector<const void*> key_pointers, value_pointers;
  for (const auto& k : keys) key_pointers.push_back(k.const_data_ptr());
  for (const auto& v : values) value_pointers.push_back(v.const_data_ptr());
  RaggedAttention op;
  op.shape = {query.size(0), query.size(1), query.size(2), starts.size(1), query.size(3)};
  op.dtype = dtype_of(query);
  op.scale = static_cast<float>(scale);
  op.query = contiguous.const_data_ptr();
  op.keys = key_pointers.data();
  op.values = value_pointers.data();
  op.starts = starts.const_data_ptr<int64_t>();
  op.lengths = lengths.const_data_ptr<int64_t>();
  op.out = out.mutable_data_ptr();
  ragged_attention_cpu(op);
  return out;
}

void ragged_append_on_cpu(const at::Tensor& rows, at::TensorList buffers, const at::Tensor& starts,
                          const at::Tensor& lengths) {
  TORCH_CHECK(rows.dim() == 4, "rows: expected [S, m, H, d], got ", rows.sizes());
  TORCH_CHECK(static_cast<int64_t>(buffers.size()) == rows.size(0), "expected ", rows.size(0),
              " buffers, got ", buffers.size());
  check_segments(starts, lengths, rows.size(0), rows.device());
  TORCH_CHECK(starts.size(1) == rows.size(2), "rows have ", rows.size(2), " KV heads, starts ",
              starts.size(1));
  check_buffers(buffers, "buffers", rows, rows.size(3));
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

void check_causal_logits(const at::Tensor& logits) {
  TORCH_CHECK(
      logits.dim() == 3 && logits.scalar_type() == at::kFloat && logits.size(1) <= logits.size(2),
      "logits: expected float32 [heads, queries, keys], queries <= keys, got ",
      logits.scalar_type(), " ", logits.sizes());
}

at::Tensor causal_softmax_sums_on_cpu(const at::Tensor& logits) {
  check_causal_logits(logits);
  const at::Tensor contiguous = logits.contiguous();
  at::Tensor out = at::empty({logits.size(0), logits.size(2)}, logits.options());
  CausalSoftmaxSums op;
  op.n_heads = logits.size(0);
  op.n_queries = logits.size(1);
  op.n_keys = logits.size(2);
  op.logits = contiguous.const_data_ptr<float>();
  op.out = out.mutable_data_ptr<float>();
  causal_softmax_sums_cpu(op);
  return out;
}

at::Tensor causal_softmax_sums_composite(const at::Tensor& logits) {
  check_causal_logits(logits);
  const int64_t n_queries = logits.size(1), n_keys = logits.size(2);
  const at::Tensor future =
      at::ones({n_queries, n_keys}, logits.options().dtype(at::kBool)).triu(n_keys - n_queries + 1);
  return logits.masked_fill(future, -INFINITY).softmax(-1).sum(1);
}

// The host copy of a small index tensor.
std::vector<int64_t> host(const at::Tensor& index) {
  const at::Tensor cpu = index.to(at::kCPU).contiguous();
  const auto* data = cpu.const_data_ptr<int64_t>();
  return {data, data + cpu.numel()};
}

void ragged_append_composite(const at::Tensor& rows, at::TensorList buffers,
                             const at::Tensor& starts, const at::Tensor& lengths) {
  const auto start = host(starts), length = host(lengths);
  const int64_t m = rows.size(1), n_heads = rows.size(2);
  for (int64_t s = 0; s < rows.size(0); ++s) {
    for (int64_t h = 0; h < n_heads; ++h) {
      const int64_t first = start[s * n_heads + h] + length[s * n_heads + h] - m;
      buffers[s].narrow(0, first, m).copy_(rows.select(0, s).select(1, h));
    }
  }
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

}  // namespace

at::Tensor ragged_attention_composite(const at::Tensor& query, at::TensorList keys,
                                      at::TensorList values, const at::Tensor& starts,
                                      const at::Tensor& lengths, double scale) {
  check_attention(query, keys, values, starts, lengths);
  const auto start = host(starts), length = host(lengths);
  const int64_t m = query.size(1), n_heads = starts.size(1), group = query.size(2) / n_heads;
  at::Tensor out = at::empty_like(query);
  for (int64_t s = 0; s < query.size(0); ++s) {
    for (int64_t h = 0; h < n_heads; ++h) {
      const int64_t n = length[s * n_heads + h];
      const at::Tensor k = keys[s].narrow(0, start[s * n_heads + h], n).to(at::kFloat);
      const at::Tensor v = values[s].narrow(0, start[s * n_heads + h], n).to(at::kFloat);
      // [group, m, d]
      const at::Tensor q =
          query.select(0, s).narrow(1, h * group, group).transpose(0, 1).to(at::kFloat);
      // Token i sees columns 0 .. n - m + i.
      const at::Tensor mask =
          at::ones({m, n}, q.options().dtype(at::kBool)).tril(n - m).logical_not();
      const at::Tensor weights =
          (at::matmul(q, k.t()) * scale).masked_fill(mask, -INFINITY).softmax(-1);
      out.select(0, s).narrow(1, h * group, group).copy_(at::matmul(weights, v).transpose(0, 1));
    }
  }
  return out;
}

at::Tensor ragged_attention(const at::Tensor& query, at::TensorList keys, at::TensorList values,
                            const at::Tensor& starts, const at::Tensor& lengths, double scale) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("kvbench::ragged_attention", "")
                             .typed<decltype(ragged_attention)>();
  return op.call(query, keys, values, starts, lengths, scale);
}

void ragged_append(const at::Tensor& rows, at::TensorList buffers, const at::Tensor& starts,
                   const at::Tensor& lengths) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("kvbench::ragged_append", "")
                             .typed<decltype(ragged_append)>();
  op.call(rows, buffers, starts, lengths);
}

void ragged_gather(const at::Tensor& source, const at::Tensor& kept, const at::Tensor& offsets,
                   const at::Tensor& starts, at::Tensor& out) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("kvbench::ragged_gather", "")
                             .typed<decltype(ragged_gather)>();
  op.call(source, kept, offsets, starts, out);
}

at::Tensor causal_softmax_sums(const at::Tensor& logits) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("kvbench::causal_softmax_sums", "")
                             .typed<decltype(causal_softmax_sums)>();
  return op.call(logits);
}

TORCH_LIBRARY(kvbench, library) {
  library.def(
      "ragged_attention(Tensor query, Tensor[] keys, Tensor[] values, Tensor starts, "
      "Tensor lengths, float scale) -> Tensor");
  library.def(
      "ragged_append(Tensor rows, Tensor(a!)[] buffers, Tensor starts, Tensor lengths) -> ()");
  library.def(
      "ragged_gather(Tensor source, Tensor kept, Tensor offsets, Tensor starts, Tensor(a!) out) "
      "-> ()");
  library.def("causal_softmax_sums(Tensor logits) -> Tensor");
}

TORCH_LIBRARY_IMPL(kvbench, CPU, library) {
  library.impl("ragged_attention", ragged_attention_on_cpu);
  library.impl("ragged_append", ragged_append_on_cpu);
  library.impl("ragged_gather", ragged_gather_on_cpu);
  library.impl("causal_softmax_sums", causal_softmax_sums_on_cpu);
}

// Devices without a kernel of their own.
TORCH_LIBRARY_IMPL(kvbench, CompositeExplicitAutograd, library) {
  library.impl("ragged_attention", ragged_attention_composite);
  library.impl("ragged_append", ragged_append_composite);
  library.impl("ragged_gather", ragged_gather_composite);
  library.impl("causal_softmax_sums", causal_softmax_sums_composite);
}

}  // namespace kvbench
