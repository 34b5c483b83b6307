// Rows of the cache: gather of what is kept, cut where they lie, append of new ones, heads moved
// elsewhere, beside a plain copy of as many bytes; and whose rows a needle's are. A layer of 8 KV heads,
// bfloat16; heads keep 10 to 90%, half on average. GB/s counts what is read and what is written.
#include <algorithm>
#include <numeric>

#include "kernels/cache_cut/cache_cut.h"
#include "kernels/cache_rows/cache_append.h"
#include "kernels/cache_rows/cache_gather.h"
#include "kernels/cache_rows/cache_move.h"
#include "kernels/holds_positions/holds_positions.h"
#include "kernels/common/bench_data.h"

namespace kvbench {
namespace {

constexpr int64_t kHeads = 8, kHeadDim = 128, kBytes = 2, kRowBytes = kHeadDim * kBytes;

// Rows in memory as tensors have them, which begins where a line of the caches does.
struct alignas(64) Line {
  char bytes[64] = {1};
};
std::vector<Line> rows_of_memory(int64_t n) { return std::vector<Line>(n * kRowBytes / 64); }

struct Kept {
  std::vector<int32_t> positions, offsets = {0};
  std::vector<int64_t> starts, whole_starts;  // with the kept rows alone, with all
};

Kept keep_half(int64_t n_tokens) {
  Kept kept;
  std::mt19937_64 generator(1);
  std::vector<int32_t> rows(n_tokens);
  std::iota(rows.begin(), rows.end(), 0);
  for (int64_t h = 0; h < kHeads; ++h) {
    kept.starts.push_back(kept.offsets.back());
    kept.whole_starts.push_back(h * n_tokens);
    std::sample(rows.begin(), rows.end(), std::back_inserter(kept.positions),
                n_tokens * (10 + 80 * h / (kHeads - 1)) / 100, generator);
    kept.offsets.push_back(static_cast<int32_t>(kept.positions.size()));
  }
  return kept;
}

void cache_gather(benchmark::State& state) {
  const int64_t n_tokens = state.range(0);
  const Kept kept = keep_half(n_tokens);
  const int64_t n_kept = kept.offsets.back();
  const auto keys = rows_of_memory(kHeads * n_tokens), values = keys;
  auto out_keys = rows_of_memory(n_kept), out_values = out_keys;
  CacheGather op = {.n_kv_heads = kHeads,
                    .n_tokens = n_tokens,
                    .head_dim = kHeadDim,
                    .element_bytes = kBytes,
                    .n_rows = n_kept,
                    .keys = {keys.data(), n_tokens * kHeadDim, kHeadDim},
                    .values = {values.data(), n_tokens * kHeadDim, kHeadDim},
                    .positions = kept.positions.data(),
                    .offsets = kept.offsets.data(),
                    .starts = kept.starts.data(),
                    .out_keys = out_keys.data(),
                    .out_values = out_values.data()};
  for (auto _ : state) {
    cache_gather_cpu(op);
    benchmark::ClobberMemory();
  }
  set_bytes(state, 4 * n_kept * kRowBytes);
}

// As many bytes as the gather's, one contiguous piece for each thread.
void plain_copy(benchmark::State& state) {
  const auto from = rows_of_memory(2 * keep_half(state.range(0)).offsets.back());
  auto to = from;
  constexpr int64_t kPieces = 64;
  const int64_t piece = std::ssize(from) / kPieces;
  for (auto _ : state) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < kPieces; ++i) {
      std::copy_n(from.data() + i * piece, piece, to.data() + i * piece);
    }
    benchmark::ClobberMemory();
  }
  set_bytes(state, 2 * kPieces * piece * int64_t{sizeof(Line)});
}

// The rows that move are the same in every round, whatever they hold.
void cache_cut(benchmark::State& state) {
  const int64_t n_tokens = state.range(0);
  const Kept kept = keep_half(n_tokens);
  auto keys = rows_of_memory(kHeads * n_tokens), values = keys;
  std::vector<int64_t> lengths(kHeads);
  std::vector<int32_t> source_row(kept.positions.size());
  const CacheCut op = {.n_kv_heads = kHeads,
                       .head_dim = kHeadDim,
                       .element_bytes = kBytes,
                       .positions = kept.positions.data(),
                       .offsets = kept.offsets.data(),
                       .n_positions = std::ssize(kept.positions),
                       .starts = kept.whole_starts.data(),
                       .keys = keys.data(),
                       .values = values.data(),
                       .lengths = lengths.data(),
                       .source_row = source_row.data()};
  for (auto _ : state) cache_cut_cpu(op);
  int64_t n_moved = 0;
  for (int64_t h = 0; h < kHeads; ++h) {
    for (int64_t i = kept.offsets[h]; i < kept.offsets[h + 1]; ++i) {
      n_moved += source_row[i] != i - kept.offsets[h];
    }
  }
  const auto of_lists = static_cast<int64_t>(2 * sizeof(int32_t) * source_row.size());
  set_bytes(state, 4 * n_moved * kRowBytes + of_lists);
}

void cache_append(benchmark::State& state) {
  const int64_t n_sequences = state.range(0), n_tokens = state.range(1), room = 1024;
  const int64_t n_rows = n_sequences * kHeads * room, of_token = 2 * kHeads * kHeadDim;
  std::vector<int64_t> starts(n_sequences * kHeads), lengths(starts.size());
  for (size_t i = 0; i < starts.size(); ++i) {
    starts[i] = static_cast<int64_t>(i) * room;
    lengths[i] = n_tokens + static_cast<int64_t>(i) % 7;
  }
  const std::vector<char> rows(n_sequences * n_tokens * of_token * kBytes, 1);
  auto keys = rows_of_memory(n_rows), values = keys;
  CacheAppend op;
  op.cache = {n_sequences, kHeads,        kHeadDim,      n_rows,        DType::kBFloat16,
              keys.data(), values.data(), starts.data(), lengths.data()};
  op.n_tokens = n_tokens;
  op.keys = {rows.data(), n_tokens * of_token, of_token, kHeadDim};
  op.values = {rows.data() + kHeads * kRowBytes, n_tokens * of_token, of_token, kHeadDim};
  for (auto _ : state) {
    cache_append_cpu(op);
    benchmark::ClobberMemory();
  }
  set_bytes(state, 2 * std::ssize(rows));
}

// All heads into buffers with room behind each.
void cache_move(benchmark::State& state) {
  const int64_t n_tokens = state.range(0);
  const auto keys = rows_of_memory(kHeads * n_tokens), values = keys;
  auto out_keys = rows_of_memory(kHeads * (n_tokens + 64)), out_values = out_keys;
  std::vector<CacheMove::Head> heads;
  for (int64_t h = 0; h < kHeads; ++h) heads.push_back({h * n_tokens, h * (n_tokens + 64), n_tokens});
  const CacheMove op = {.row_bytes = kRowBytes,
                        .keys = keys.data(),
                        .values = values.data(),
                        .out_keys = out_keys.data(),
                        .out_values = out_values.data(),
                        .heads = heads};
  for (auto _ : state) {
    cache_move_cpu(op);
    benchmark::ClobberMemory();
  }
  set_bytes(state, 4 * kHeads * n_tokens * kRowBytes);
}

// A needle of 20 tokens among what is kept.
void holds_positions(benchmark::State& state) {
  const int64_t n_tokens = state.range(0);
  const Kept kept = keep_half(n_tokens);
  std::vector<int32_t> wanted(20);
  std::iota(wanted.begin(), wanted.end(), static_cast<int32_t>(n_tokens / 2));
  std::vector<uint8_t> out(kHeads * wanted.size());
  const HoldsPositions op = {.n_heads = kHeads,
                             .n_positions = std::ssize(kept.positions),
                             .n_wanted = std::ssize(wanted),
                             .positions = kept.positions.data(),
                             .offsets = kept.offsets.data(),
                             .wanted = wanted.data(),
                             .out = out.data()};
  for (auto _ : state) {
    holds_positions_cpu(op);
    benchmark::ClobberMemory();
  }
  set_bytes(state, static_cast<int64_t>(sizeof(int32_t)) * std::ssize(kept.positions));
}

void contexts(benchmark::internal::Benchmark* bench) {
  bench->ArgName("tokens")->UseRealTime()->Unit(benchmark::kMicrosecond)->Arg(4096)->Arg(32768);
}

BENCHMARK(cache_gather)->Apply(contexts);
BENCHMARK(plain_copy)->Apply(contexts);
BENCHMARK(cache_cut)->Apply(contexts);
BENCHMARK(cache_move)->Apply(contexts);
BENCHMARK(holds_positions)->Apply(contexts);
BENCHMARK(cache_append)
    ->ArgNames({"sequences", "new"})
    ->Args({1, 1})
    ->Args({7, 1})
    ->Args({7, 40})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace kvbench
