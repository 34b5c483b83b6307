#include "harness/engine/chunked_prefill.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>

#include "harness/config/policy_yaml.h"
#include "harness/engine/generate.h"
#include "harness/engine/tiny_model.h"

namespace kvbench {
namespace {

CompressedCache cut(const std::string& policy_text, int64_t n_tokens, double ratio) {
  static std::vector<std::unique_ptr<Policy>> policies;  // caches that evict go on asking them
  const Policy& policy =
      *policies.emplace_back(std::make_unique<Policy>(parse_policy_text(policy_text)));
  CompressOptions options;
  options.keep_positions = true;
  Compressed made =
      compress_context(tiny_model(), some_tokens(n_tokens), {{&policy, ratio}}, options);
  EXPECT_EQ(made.caches[0].error, "");
  return std::move(made.caches[0]);
}

constexpr const char* kChunked = "{scorer: keydiff, allocator: uniform, prefill: {chunk: 20}}";

TEST(ChunkedPrefill, HoldsNoMoreThanBudgetAndChunk) {
  const CompressedCache made = cut(kChunked, 400, 0.9);
  for (const auto count : made.keep_counts) EXPECT_EQ(count, 39);  // trunc(400 * (1 - 0.9))
  const auto& config = tiny_model().config();
  const int64_t token_bytes = 2 * config.n_layers * config.n_kv_heads * config.head_dim * 4;
  EXPECT_LE(made.peak_kv_bytes, (39 + 64) * token_bytes);  // buffers grow by 64 tokens
  EXPECT_EQ(made.cache->bytes_allocated(), 39 * token_bytes);
  EXPECT_EQ(made.cache->next_position(), 400);
}

// The first layer's keys do not depend on attention: there the selection is that of KeyDiff block
// by block over a full prefill. The blocks are the same when the budget is whole blocks.
TEST(ChunkedPrefill, FirstLayerKeepsWhatTheBlockwiseSelectionKeeps) {
  const CompressedCache chunked = cut(kChunked, 160, 0.75);
  const CompressedCache blocks =
      cut("{scorer: {name: keydiff, block_size: 20}, allocator: uniform}", 160, 0.75);
  EXPECT_EQ(chunked.keep_counts[0], 40);
  EXPECT_EQ(chunked.kept[0].positions, blocks.kept[0].positions);
  EXPECT_NE(chunked.kept[1].positions, blocks.kept[1].positions);
}

// One chunk that holds all is the full prefill, then the one-shot cut.
TEST(ChunkedPrefill, AChunkAsLongAsTheContextIsOneShot) {
  const CompressedCache one =
      cut("{scorer: keydiff, allocator: uniform, prefill: {chunk: 160}}", 160, 0.75);
  const CompressedCache shared = cut("keydiff", 160, 0.75);
  for (size_t l = 0; l < shared.kept.size(); ++l) {
    EXPECT_EQ(one.kept[l].positions, shared.kept[l].positions);
  }
  EXPECT_TRUE(at::equal(one.last_logits, shared.last_logits));
}

// Nothing to remove: chunks over everything before them are the full attention.
TEST(ChunkedPrefill, WithoutEvictionChunksAreTheFullPrefill) {
  const Policy chunked(parse_policy_text(
      "{scorer: keydiff, allocator: {name: uniform, capacity: 90}, prefill: {chunk: 20}}"));
  const CompressedCache made =
      prefill_in_chunks(tiny_model(), some_tokens(90), {&chunked, 0.5}, {});
  const at::Tensor full = tiny_model().prefill(some_tokens(90), [](const LayerView&) {});
  EXPECT_LE((made.last_logits - full).abs().max().item<float>(), 1e-4);
}

TEST(ChunkedPrefill, SeveralQuestionsAndDecodeTimeEvictionFollow) {
  CompressedCache made = cut(kChunked, 160, 0.75);
  const auto first = generate(tiny_model(), {made.growing()}, {5, 6, 7}, {8, {}})[0].tokens;
  made.cache->rewind();
  EXPECT_EQ(generate(tiny_model(), {made.growing()}, {5, 6, 7}, {8, {}})[0].tokens, first);
  CompressedCache evicting =
      cut("{scorer: keydiff, allocator: uniform, prefill: {chunk: 20}, decode: {when: overflow}}",
          160, 0.75);
  ASSERT_EQ(generate(tiny_model(), {evicting.growing()}, {5, 6, 7}, {8, {}})[0].error, "");
  for (const auto length : evicting.cache->layer(0).lengths) EXPECT_EQ(length, 40);
}

}  // namespace
}  // namespace kvbench
