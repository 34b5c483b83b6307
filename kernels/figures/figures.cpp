// Bytes that each operator moves at a fixed shape, counted on its PTX: a JSON line an operator.
//
// The shape is that of a small model's layer: 9 query heads, 3 KV heads, head_dim 64, 1024 tokens
// in bfloat16. `minimal_bytes` must move by the operator's definition: what it reads and writes,
// once.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/argmax/argmax.h"
#include "kernels/attention_column_sums/attention_column_sums.h"
#include "kernels/cache_attention/cache_attention.h"
#include "kernels/cache_cut/cache_cut.h"
#include "kernels/cache_rows/cache_append.h"
#include "kernels/cache_rows/cache_gather.h"
#include "kernels/cache_rows/cache_move.h"
#include "kernels/common/element.h"
#include "kernels/decode_plan/decode_plan.h"
#include "kernels/expected_attention_scores/expected_attention_scores.h"
#include "kernels/flattened_counts/flattened_counts.h"
#include "kernels/gated_activation/gated_activation.h"
#include "kernels/holds_positions/holds_positions.h"
#include "kernels/key_similarity/key_similarity.h"
#include "kernels/keydiff_scores/keydiff_scores.h"
#include "kernels/norm_rope/norm_rope.h"
#include "kernels/oracle_step/oracle_step.h"
#include "kernels/peak_attention/peak_attention.h"
#include "kernels/projected_value_norms/projected_value_norms.h"
#include "kernels/ptx/engine.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/row_norms/row_norms.h"
#include "kernels/select_top/select_top.h"
#include "kernels/window_scores/window_scores.h"

namespace kvbench {
namespace {

constexpr int64_t kHq = 9, kH = 3, kD = 64, kT = 1024, kHidden = 576, kKept = 256;
constexpr DType kType = DType::kBFloat16;
constexpr int64_t kKeys = kH * kT * kD * 2;  // bytes of a layer's keys

std::vector<void*> allocations;

void* device(size_t bytes) {
  void* p = nullptr;
  cudaMalloc(&p, bytes);
  allocations.push_back(p);
  return p;
}

template <class T>
T* device(const std::vector<T>& values) {
  auto* p = static_cast<T*>(device(values.size() * sizeof(T)));
  cudaMemcpy(p, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice);
  return p;
}

float* floats(int64_t n, float spread = 1) {
  static std::mt19937_64 generator(1);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> values(n);
  for (auto& x : values) x = normal(generator);
  return device(values);
}

uint16_t* elements(int64_t n) {
  static std::mt19937_64 generator(2);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> values(n);
  for (auto& x : values) x = BFloat16::from(normal(generator));
  return device(values);
}

HeadRows head_rows() { return {elements(kH * kT * kD), kT * kD, kD}; }

struct Case {
  const char* name;
  std::function<CudaStatus()> launch;  // made ready by the case's maker
  int64_t minimal_bytes;
};

Case gated_activation() {
  GatedActivation op = {64,
                        1536,
                        GatedActivation::Kind::kSilu,
                        kType,
                        elements(64 * 2 * 1536),
                        device(64 * 1536 * 2)};
  return {"gated_activation", [op] { return gated_activation_cuda(op, nullptr); }, 64 * 1536 * 6};
}

Case rms_norm() {
  RmsNorm op;
  op.n_rows = 64;
  op.n_columns = kHidden;
  op.dtype = op.weight_dtype = kType;
  op.eps = 1e-5F;
  op.x = elements(64 * kHidden);
  op.weight = elements(kHidden);
  op.residual = elements(64 * kHidden);
  op.out = device(64 * kHidden * 2);
  return {"rms_norm", [op] { return rms_norm_cuda(op, nullptr); }, (64 * 4 + 1) * kHidden * 2};
}

Case norm_rope() {
  constexpr int64_t kRows = 64, kRow = (kHq + kH) * kD;
  NormRope op;
  op.n_rows = kRows;
  op.n_heads = kHq;
  op.n_kv_heads = kH;
  op.head_dim = kD;
  op.dtype = op.weight_dtype = kType;
  op.qkv = elements(kRows * kRow);
  op.row_stride = kRow;
  op.cos = floats(kRows * kD / 2);
  op.sin = floats(kRows * kD / 2);
  op.queries = device(kRows * kHq * kD * 2);
  op.keys = device(kRows * kH * kD * 2);
  return {"norm_rope", [op] { return norm_rope_cuda(op, nullptr); },
          kRows * (2 * kRow * 2 + kD * 4)};
}

Case row_norms() {
  RowNorms op = {kH, kT, kD, kType, 2, head_rows(), static_cast<float*>(device(kH * kT * 4))};
  return {"row_norms", [op] { return row_norms_cuda(op, nullptr); }, kKeys + kH * kT * 4};
}

Case keydiff_scores() {
  KeydiffScores op = {kH, kT, kD, kType, head_rows(), static_cast<float*>(device(kH * kT * 4))};
  op.workspace = device(keydiff_scores_workspace_bytes(op));
  // The anchor is known only behind the last key, so the keys are read twice.
  return {"keydiff_scores", [op] { return keydiff_scores_cuda(op, nullptr); },
          2 * kKeys + kH * kT * 4};
}

Case key_similarity() {
  KeySimilarity op = {kH, kT, kD, kType, head_rows(), static_cast<float*>(device(kH * kT * 4))};
  op.workspace = device(key_similarity_workspace_bytes(op));
  return {"key_similarity", [op] { return key_similarity_cuda(op, nullptr); }, kKeys + kH * kT * 4};
}

Case projected_value_norms(int p) {
  ProjectedValueNorms op;
  op.n_heads = kH;
  op.n_query_heads = kHq;
  op.n_rows = kT;
  op.head_dim = kD;
  op.hidden = kHidden;
  op.dtype = kType;
  op.p = p;
  op.values = head_rows();
  op.output_weight = elements(kHidden * kHq * kD);
  op.out = static_cast<float*>(device(kHq * kT * 4));
  return {p == 1 ? "projected_value_norms_l1" : "projected_value_norms_l2",
          [op] { return projected_value_norms_cuda(op, nullptr); },
          kKeys + kHidden * kHq * kD * 2 + (p == 1 ? kH : kHq) * kT * 4};
}

Case expected_attention_scores(bool quadratic) {
  ExpectedAttentionScores op;
  op.n_heads = kH;
  op.n_query_heads = kHq;
  op.n_rows = kT;
  op.head_dim = kD;
  op.n_sink = 4;
  op.dtype = kType;
  op.eps = 0.02F;
  op.keys = head_rows();
  op.values = head_rows();
  op.linear = floats(kHq * kD, 0.1F);
  if (quadratic) op.quadratic = floats(kHq * kD * kD, 0.01F);
  op.out = static_cast<float*>(device(kH * (kT - op.n_sink) * 4));
  op.workspace = device(expected_attention_scores_workspace_bytes(op));
  return {quadratic ? "expected_attention_scores_quadratic" : "expected_attention_scores",
          [op] { return expected_attention_scores_cuda(op, nullptr); },
          2 * kKeys + kHq * kD * 4 * (quadratic ? 1 + kD : 1) + kH * kT * 4};
}

Case oracle_step() {
  OracleStep op;
  op.n_heads = kH;
  op.n_query_heads = kHq;
  op.n_tokens = op.n_keys = kT;
  op.head_dim = kD;
  op.dtype = kType;
  op.scale = 0.125F;
  op.query = elements(kHq * kD);
  op.keys = head_rows();
  op.norms = floats(kHq * kT);
  op.importance = floats(kH * kT);
  op.workspace = device(oracle_step_workspace_bytes(op));
  return {"oracle_step", [op] { return oracle_step_cuda(op, nullptr); },
          kKeys + (kHq + 2 * kH) * kT * 4};
}

Case window_scores() {
  WindowScores op;
  op.n_heads = kHq;
  op.n_kv_heads = kH;
  op.window = 32;
  op.n_tokens = kT;
  op.head_dim = kD;
  op.dtype = kType;
  op.scale = 0.125F;
  op.queries = elements(kHq * op.window * kD);
  op.keys = head_rows();
  op.kernel = 7;
  op.out = static_cast<float*>(device(kH * op.n_ranked() * 4));
  op.workspace = device(window_scores_workspace_bytes(op));
  // The softmax's sums are known only behind the last key, so the keys are read twice.
  return {"window_scores", [op] { return window_scores_cuda(op, nullptr); },
          2 * kKeys + kHq * op.window * kD * 2 + kH * op.n_ranked() * 4};
}

Case attention_column_sums() {
  constexpr int64_t kQueries = 128;
  AttentionColumnSums op;
  op.n_heads = kHq;
  op.n_kv_heads = kH;
  op.n_queries = kQueries;
  op.n_tokens = op.n_columns = kT;
  op.head_dim = kD;
  op.dtype = kType;
  op.scale = 0.125F;
  op.queries = {elements(kHq * kQueries * kD), kQueries * kD, kD};
  op.keys = head_rows();
  op.out = static_cast<float*>(device(kH * kT * 4));
  op.workspace = device(attention_column_sums_workspace_bytes(op));
  return {"attention_column_sums", [op] { return attention_column_sums_cuda(op, nullptr); },
          2 * (kKeys + kHq * kQueries * kD * 2) + kH * kT * 4};
}

// A chunk, and its repeat.
Case peak_attention() {
  constexpr int64_t kQueries = 160, kChunk = 128;
  PeakAttention op;
  op.n_heads = kHq;
  op.n_kv_heads = kH;
  op.n_queries = kQueries;
  op.n_sinks = 4;
  op.n_keys = kChunk;
  op.head_dim = kD;
  op.dtype = kType;
  op.scale = 0.125F;
  op.to_others = op.to_own = {elements(kHq * kQueries * kD), kQueries * kD, kD};
  op.sinks = op.keys = op.own = head_rows();
  op.keys.data = static_cast<const uint16_t*>(op.keys.data) + 4 * kD;
  op.own.data = static_cast<const uint16_t*>(op.own.data) + (kT - kQueries) * kD;
  op.out = static_cast<float*>(device(kH * kChunk * 4));
  op.workspace = device(peak_attention_workspace_bytes(op));
  // Queries and keys are read in both passes.
  constexpr int64_t kRead = (kHq * kQueries + kH * (4 + kChunk)) * kD * 2;
  return {"peak_attention", [op] { return peak_attention_cuda(op, nullptr); },
          2 * kRead + kH * kQueries * kD * 2 + kH * kChunk * 4};
}

Case select_top() {
  SelectTop op;
  op.n_heads = kH;
  op.n_tokens = kT;
  op.sink = 4;
  op.recent = 32;
  op.scores = floats(kH * kT);
  op.counts = device(std::vector<int32_t>(kH, kKept));
  op.n_positions = kH * kKept;
  op.positions = static_cast<int32_t*>(device(kH * kKept * 4));
  op.offsets = static_cast<int32_t*>(device((kH + 1) * 4));
  op.invalid = static_cast<int32_t*>(device(kH * 4));
  return {"select_top", [op] { return select_top_cuda(op, nullptr); }, kH * (kT + kKept) * 4};
}

Case flattened_counts() {
  FlattenedCounts op;
  op.n_rows = kH;
  op.n_columns = kT;
  op.total = kH * kKept;
  op.safe = 16;
  op.scores = floats(kH * kT);
  op.counts = static_cast<int32_t*>(device(kH * 4));
  op.workspace = device(flattened_counts_workspace_bytes(op));
  return {"flattened_counts", [op] { return flattened_counts_cuda(op, nullptr); }, kH * kT * 4};
}

Case argmax() {
  constexpr int64_t kRows = 4, kVocabulary = 49152;
  Argmax op;
  op.n_rows = kRows;
  op.n_columns = kVocabulary;
  op.logits = floats(kRows * kVocabulary);
  op.ids = static_cast<int64_t*>(device(kRows * 8));
  op.workspace = device(argmax_workspace_bytes(op));
  return {"argmax", [op] { return argmax_cuda(op, nullptr); }, kRows * (kVocabulary * 4 + 8)};
}

// Evenly spread tokens of each head.
void keep_tokens(std::vector<int32_t>* positions, std::vector<int32_t>* offsets) {
  offsets->push_back(0);
  for (int64_t h = 0; h < kH; ++h) {
    for (int64_t i = 0; i < kKept; ++i) positions->push_back(static_cast<int32_t>(i * kT / kKept));
    offsets->push_back(static_cast<int32_t>(positions->size()));
  }
}

Case cache_cut() {
  std::vector<int32_t> positions, offsets;
  keep_tokens(&positions, &offsets);
  CacheCut op;
  op.n_kv_heads = kH;
  op.head_dim = kD;
  op.element_bytes = 2;
  op.n_positions = kH * kKept;
  op.positions = device(positions);
  op.offsets = device(offsets);
  op.starts = device(std::vector<int64_t>{0, kT, 2 * kT});
  op.keys = elements(kH * kT * kD);
  op.values = elements(kH * kT * kD);
  op.lengths = static_cast<int64_t*>(device(kH * 8));
  op.source_row = static_cast<int32_t*>(device(kH * kKept * 4));
  constexpr int64_t kMoved = kKept - kKept * kKept / kT;  // the kept rows behind the new end
  return {"cache_cut", [op] { return cache_cut_cuda(op, nullptr); },
          4 * kH * kMoved * kD * 2 + 2 * kH * kKept * 4};
}

Case cache_gather() {
  std::vector<int32_t> positions, offsets;
  keep_tokens(&positions, &offsets);
  std::vector<int64_t> starts;
  for (int64_t h = 0; h < kH; ++h) starts.push_back(h * kKept);
  CacheGather op;
  op.n_kv_heads = kH;
  op.n_tokens = kT;
  op.head_dim = kD;
  op.element_bytes = 2;
  op.n_rows = kH * kKept;
  op.keys = head_rows();
  op.values = head_rows();
  op.positions = device(positions);
  op.offsets = device(offsets);
  op.starts = device(starts);
  op.out_keys = device(kH * kKept * kD * 2);
  op.out_values = device(kH * kKept * kD * 2);
  return {"cache_gather", [op] { return cache_gather_cuda(op, nullptr); },
          4 * kH * kKept * kD * 2 + kH * kKept * 4};
}

// Heads of many lengths, as they are after a cut.
RaggedCache ragged_cache(int64_t n_sequences, std::vector<int64_t>* lengths) {
  std::vector<int64_t> starts;
  RaggedCache cache;
  for (int64_t i = 0; i < n_sequences * kH; ++i) {
    starts.push_back(cache.n_rows);
    lengths->push_back(100 + 300 * (i % kH));
    cache.n_rows += lengths->back();
  }
  cache.n_sequences = n_sequences;
  cache.n_kv_heads = kH;
  cache.head_dim = kD;
  cache.dtype = kType;
  cache.keys = elements(cache.n_rows * kD);
  cache.values = elements(cache.n_rows * kD);
  cache.starts = device(starts);
  cache.lengths = device(*lengths);
  return cache;
}

Case cache_append() {
  constexpr int64_t kSequences = 4, kNew = 8;
  std::vector<int64_t> lengths;
  CacheAppend op;
  op.cache = ragged_cache(kSequences, &lengths);
  op.n_tokens = kNew;
  op.keys = op.values = {nullptr, kNew * kH * kD, kH * kD, kD};
  op.keys.data = elements(kSequences * kNew * kH * kD);
  op.values.data = elements(kSequences * kNew * kH * kD);
  return {"cache_append", [op] { return cache_append_cuda(op, nullptr); },
          4 * kSequences * kNew * kH * kD * 2};
}

Case cache_move() {
  static std::vector<CacheMove::Head> heads;
  for (int64_t h = 0; h < 12; ++h) heads.push_back({h * kKept, h * (kKept + 64), kKept});
  CacheMove op;
  op.row_bytes = kD * 2;
  op.keys = elements(12 * kKept * kD);
  op.values = elements(12 * kKept * kD);
  op.out_keys = device(12 * (kKept + 64) * kD * 2);
  op.out_values = device(12 * (kKept + 64) * kD * 2);
  op.heads = heads;
  return {"cache_move", [op] { return cache_move_cuda(op, nullptr); }, 4 * 12 * kKept * kD * 2};
}

Case holds_positions() {
  std::vector<int32_t> positions, offsets;
  keep_tokens(&positions, &offsets);
  HoldsPositions op;
  op.n_heads = kH;
  op.n_positions = kH * kKept;
  op.n_wanted = 20;
  op.positions = device(positions);
  op.offsets = device(offsets);
  op.wanted = device(std::vector<int32_t>(positions.begin(), positions.begin() + 20));
  op.out = static_cast<uint8_t*>(device(kH * 20));
  return {"holds_positions", [op] { return holds_positions_cuda(op, nullptr); }, kH * kKept * 4};
}

Case cache_attention(int64_t n_tokens) {
  std::vector<int64_t> lengths;
  CacheAttention op;
  op.cache = ragged_cache(n_tokens == 1 ? 4 : 1, &lengths);
  op.n_tokens = n_tokens;
  op.n_heads = kHq;
  op.scale = 0.125F;
  const int64_t n_queries = op.cache.n_sequences * n_tokens * kHq * kD;
  op.query = elements(n_queries);
  op.out = device(n_queries * 2);
  if (n_tokens == 1) {
    const DecodePlan plan = decode_plan(lengths, kH, kDecodeItems * 4);
    op.items = device(plan.items);
    op.first_items = device(plan.first_items);
    op.n_items = static_cast<int64_t>(plan.items.size());
  }
  op.workspace = device(std::max<size_t>(cache_attention_workspace_bytes(op), 1));
  return {n_tokens == 1 ? "cache_attention_decode" : "cache_attention_question",
          [op] { return cache_attention_cuda(op, nullptr); },
          2 * op.cache.n_rows * kD * 2 + 2 * n_queries * 2};
}

int run() {
  const std::function<Case()> makers[] = {gated_activation,
                                          rms_norm,
                                          norm_rope,
                                          row_norms,
                                          keydiff_scores,
                                          key_similarity,
                                          [] { return projected_value_norms(1); },
                                          [] { return projected_value_norms(2); },
                                          [] { return expected_attention_scores(false); },
                                          [] { return expected_attention_scores(true); },
                                          oracle_step,
                                          window_scores,
                                          attention_column_sums,
                                          peak_attention,
                                          select_top,
                                          flattened_counts,
                                          argmax,
                                          cache_cut,
                                          cache_gather,
                                          cache_append,
                                          cache_move,
                                          holds_positions,
                                          [] { return cache_attention(1); },
                                          [] { return cache_attention(32); }};
  int failed = 0;
  for (const auto& maker : makers) {
    const Case c = maker();
    ptx::reset_counters();
    const CudaStatus status = c.launch();
    const ptx::Counters n = ptx::counters("");
    for (void* p : allocations) cudaFree(p);
    allocations.clear();
    for (const auto& finding : ptx::take_findings()) {
      std::fprintf(stderr, "%s: %s\n", c.name, finding.text().c_str());
      ++failed;
    }
    if (status != cudaSuccess) {
      std::fprintf(stderr, "%s: status %d\n", c.name, status);
      ++failed;
    }
    std::printf(
        "{\"operator\": \"%s\", \"launches\": %lu, \"minimal_bytes\": %ld, \"distinct_bytes\": "
        "%lu, "
        "\"block_distinct_bytes\": %lu, \"sector_bytes\": %lu, \"asked_bytes\": %lu, "
        "\"thread_instructions\": %lu, \"flops\": %lu, \"shared_wavefronts\": %lu, "
        "\"shared_ideal_wavefronts\": %lu}\n",
        c.name, n.launches, c.minimal_bytes,
        32 * (n.loads.launch_distinct_sectors + n.stores.launch_distinct_sectors),
        32 * (n.loads.block_distinct_sectors + n.stores.block_distinct_sectors),
        32 * (n.loads.sectors + n.stores.sectors), n.loads.asked_bytes + n.stores.asked_bytes,
        n.thread_instructions, n.flops, n.shared_wavefronts, n.shared_ideal_wavefronts);
  }
  return failed > 0;
}

}  // namespace
}  // namespace kvbench

int main() { return kvbench::run(); }
