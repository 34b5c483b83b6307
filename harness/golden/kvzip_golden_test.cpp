// KVzip and echo against arrays of kvpress, REFERENCE/decode/{kvzip_scores,echo}.h5, on SmolLM2 in
// float32 (its README says what they hold), and a chunk of echo's without a model.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <memory>

#include "harness/base/hdf5.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/golden/decode_golden.h"
#include "harness/model/decoder.h"
#include "harness/model/prompt.h"
#include "policies/policy.h"
#include "policies/virtual_repeat.h"

namespace kvbench {
namespace {

using golden::DecodeGolden;
using golden::expect_relative;
using golden::read;

constexpr int64_t kSinks = 4;      // whose scores are raised; the files' are from before
constexpr double kHalf = 0x1p-11;  // relative, of what is stored in float16

// The context of a file on the model that it was made with.
class OnModel {
 public:
  explicit OnModel(const h5::File& file)
      : model_(golden::model_dir(), at::kFloat, at::kCPU),
        format_(golden::model_dir(), ChatTemplateUse::kYes),
        context_(h5::read_array<int32_t>(file, "context_ids").values) {}

  const std::vector<int32_t>& context() const { return context_; }
  ContextFrame frame() const { return format_.context_frame(PromptRule()); }

  // Cuts of policies in YAML, all from one prefill, and the scores [L, H, T] of each scorer.
  std::vector<CompressedCache> cut(const std::vector<std::pair<std::string, double>>& asked) {
    std::vector<PolicyAtRatio> at_ratios;
    for (const auto& [text, ratio] : asked) {
      policies_.push_back(std::make_unique<Policy>(parse_policy_text(text)));
      at_ratios.push_back({policies_.back().get(), ratio});
    }
    std::map<std::string, std::vector<at::Tensor>> layers;
    CompressOptions options;
    options.keep_positions = true;
    options.frame = frame();
    options.on_scores = [&](const std::string& scorer, int64_t, const at::Tensor& scores) {
      layers[scorer].push_back(scores);
    };
    Compressed made = compress_context(model_, context_, at_ratios, options);
    scores_.clear();
    for (const auto& policy : policies_) {
      if (layers.contains(policy->scorer())) {
        scores_.push_back(at::stack(layers.at(policy->scorer())));
      }
    }
    return std::move(made.caches);
  }
  // Of the i-th policy of the latest cut.
  const at::Tensor& scores(size_t i) const { return scores_.at(i); }

 private:
  Decoder model_;
  PromptFormat format_;
  std::vector<int32_t> context_;
  std::vector<std::unique_ptr<Policy>> policies_;
  std::vector<at::Tensor> scores_;
};

// `name`_layerN where the file has it, and all layers where it has them.
void expect_scores(const at::Tensor& scores, const h5::File& file, const std::string& name) {
  const auto ranked = [](const at::Tensor& x) { return x.narrow(-1, kSinks, x.size(-1) - kSinks); };
  for (int64_t l = 0; l < scores.size(0); ++l) {
    const std::string layer = fmt::format("{}_layer{}", name, l);
    if (!h5::exists(file, layer)) continue;
    SCOPED_TRACE(layer);
    expect_relative(ranked(scores[l]), ranked(read<float>(file, layer)), 1e-4);
  }
  if (!h5::exists(file, name)) return;
  SCOPED_TRACE(name);
  expect_relative(ranked(scores), ranked(read<float>(file, name)), 1e-4 + kHalf);
}

// What `kept`, NAME_rRATIO of a file, keeps of [L, H, T], packed bit by bit along the tokens.
at::Tensor unpacked(const at::Tensor& bytes, int64_t n_tokens) {
  const at::Tensor masks = at::tensor({128, 64, 32, 16, 8, 4, 2, 1}, at::kByte);
  return bytes.unsqueeze(-1).bitwise_and(masks).ne(0).flatten(2).narrow(2, 0, n_tokens);
}

at::Tensor as_mask(const CompressedCache& cut, at::IntArrayRef sizes) {
  at::Tensor mask = at::zeros(sizes, at::kBool);
  for (int64_t l = 0; l < sizes[0]; ++l) {
    const KeptTokens& kept = cut.kept.at(l);
    for (int64_t h = 0; h < sizes[1]; ++h) {
      for (int64_t i = kept.offsets[h]; i < kept.offsets[h + 1]; ++i) {
        mask[l][h][kept.positions[i]] = true;
      }
    }
  }
  return mask;
}

// At most 20 entries may be others: scores near the boundary differ by less than both arithmetics.
void expect_kept(const CompressedCache& cut, const h5::File& file, const std::string& ratio,
                 at::IntArrayRef sizes) {
  SCOPED_TRACE(ratio);
  const at::Tensor counts = read<int32_t>(file, "keep_counts_" + ratio);
  const at::Tensor ours = at::tensor(cut.keep_counts).view(counts.sizes());
  EXPECT_LE((ours - counts).abs().max().item<int32_t>(), 2);
  EXPECT_EQ(ours.sum().item<int64_t>(), counts.sum().item<int64_t>());
  const std::string name = "kept_" + ratio;
  if (!h5::exists(file, name)) return;
  const at::Tensor want = unpacked(read<uint8_t>(file, name), sizes[2]);
  EXPECT_LE(as_mask(cut, sizes).ne(want).sum().item<int64_t>(), 20);
}

TEST_F(DecodeGolden, Kvzip) {
  KVB_REQUIRE_GOLDEN("kvzip_scores.h5");
  if (!std::filesystem::exists(golden::model_dir())) GTEST_SKIP() << "no model";
  const h5::File file = open("kvzip_scores.h5");
  OnModel on(file);
  const auto chunk = h5::read_attribute<int64_t>(file, "/", "chunk_size");
  const ContextFrame frame = on.frame();
  EXPECT_EQ(frame.n_head, h5::read_attribute<int64_t>(file, "/", "prefix_length"));
  const auto repeats = repeats_of(on.context(), frame, chunk, /*fit_first=*/false);
  ASSERT_EQ(repeats.size(), 2u);
  for (size_t i = 0; i < repeats.size(); ++i) {
    const std::string name = fmt::format("repeat_ids_{}", i);
    EXPECT_EQ(repeats[i].ids, h5::read_array<int32_t>(file, name).values);
  }
  const auto policy = [&](const char* normalization) {
    return fmt::format(
        "{{scorer: {{name: kvzip, chunk_size: {}, normalization: {}}}, "
        "allocator: {{name: global, total: entries}}}}",
        chunk, normalization);
  };
  const auto cuts = on.cut({{policy("none"), 0.5}, {policy("none"), 0.9}, {policy("plus"), 0.5}});
  for (const auto& cut : cuts) ASSERT_EQ(cut.error, "");
  expect_scores(on.scores(0), file, "scores");
  expect_scores(on.scores(2), file, "scores_plus");
  expect_kept(cuts[0], file, "r0.5", on.scores(0).sizes());
  expect_kept(cuts[1], file, "r0.9", on.scores(0).sizes());
  EXPECT_EQ(cuts[0].score_tokens, repeats[0].n_tokens() + repeats[1].n_tokens());
}

TEST_F(DecodeGolden, Echo) {
  KVB_REQUIRE_GOLDEN("echo.h5");
  if (!std::filesystem::exists(golden::model_dir())) GTEST_SKIP() << "no model";
  const h5::File file = open("echo.h5");
  OnModel on(file);
  const auto chunk = h5::read_attribute<int64_t>(file, "/", "chunk_size");
  const auto repeats = repeats_of(on.context(), on.frame(), chunk, /*fit_first=*/true);
  const at::Tensor chunks = read<int32_t>(file, "chunks");  // begin, end, tokens before the chunk's
  ASSERT_EQ(std::ssize(repeats), chunks.size(0));
  for (size_t i = 0; i < repeats.size(); ++i) {
    const at::Tensor ours = at::tensor({repeats[i].begin, repeats[i].end, repeats[i].n_before()});
    EXPECT_TRUE(at::equal(ours, chunks[static_cast<int64_t>(i)].to(at::kLong))) << ours;
  }
  EXPECT_EQ(repeats[0].ids, h5::read_array<int32_t>(file, "repeat_ids_0").values);
  const auto policy = [&](const char* parameters) {
    return fmt::format(
        "{{scorer: {{name: echo, chunk_size: {}{}}}, allocator: {{name: global, total: entries}}}}",
        chunk, parameters);
  };
  const auto cuts = on.cut({{policy(""), 0.5},
                            {policy(", exact_first: false, calibrate: none"), 0.5},
                            {policy(", calibrate: none"), 0.5},
                            {policy(", calibrate: layer"), 0.5},
                            {policy(", calibrate: global"), 0.5}});
  for (const auto& cut : cuts) ASSERT_EQ(cut.error, "");
  expect_scores(on.scores(0), file, "final");
  expect_scores(on.scores(1), file, "virtual");
  expect_scores(on.scores(2), file, "exact_first");
  expect_scores(on.scores(3), file, "final_scope_layer");
  expect_scores(on.scores(4), file, "final_scope_global");
  expect_kept(cuts[0], file, "r0.5", on.scores(0).sizes());
  EXPECT_EQ(cuts[0].score_tokens, repeats[0].n_tokens());
  EXPECT_EQ(cuts[1].score_tokens, 0);
}

TEST_F(DecodeGolden, EchoUnit) {
  KVB_REQUIRE_GOLDEN("echo.h5");
  const h5::File file = open("echo.h5");
  const auto number = [&](const char* name) {
    return h5::read_attribute<int64_t>(file, "unit", name);
  };
  const at::Tensor keys = read<float>(file, "unit/keys"),
                   queries = read<float>(file, "unit/queries");
  const int64_t d = keys.size(2), begin = number("start"), end = number("end");
  LayerView layer;
  layer.attention_scale = 1 / std::sqrt(static_cast<double>(d));
  layer.inverse_frequencies = at::pow(h5::read_attribute<double>(file, "unit", "rope_theta"),
                                      at::arange(0, d, 2, at::kDouble) / static_cast<double>(-d))
                                  .to(at::kFloat);
  layer.keys = at::zeros({keys.size(0), number("T"), d});
  layer.keys.narrow(1, 0, number("sink")).copy_(read<float>(file, "unit/sink_keys"));
  layer.keys.slice(1, begin, end).copy_(keys);
  layer.queries = at::zeros({queries.size(0), number("T"), d});
  layer.queries.slice(1, begin, end).copy_(queries);
  Repeat repeat = {begin, end, {}};
  repeat.ids.resize(static_cast<size_t>(number("n_prompt") + end - begin));
  expect_relative(virtual_repeat_scores(layer, repeat, number("sink")),
                  read<float>(file, "unit/scores"), 1e-5);
  const at::Tensor mapped =
      quantile_map(read<float>(file, "unit/map_source"), read<float>(file, "unit/map_target"),
                   read<float>(file, "unit/map_values"));
  EXPECT_LE((mapped - read<float>(file, "unit/map_result")).abs().max().item<float>(), 1e-6);
}

}  // namespace
}  // namespace kvbench
