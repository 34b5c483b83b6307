// What fails in a sweep fails alone: planted failures of every kind, and memory that runs out.
#include <ATen/ATen.h>

#include <csignal>
#include <map>
#include <set>

#include "harness/engine/full_memory.h"
#include "harness/model/decoder.h"
#include "harness/sweep/sweep_fixture.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

// Knorm-like scores with something wrong in one layer.
class Faulty : public Scorer {
 public:
  enum class Fault { kThrow, kThrowInt, kNan, kRefuse, kShape, kKill };

  explicit Faulty(Params& p) {
    p.choice("fault", fault_,
             {{"throw", Fault::kThrow},
              {"throw_int", Fault::kThrowInt},
              {"nan", Fault::kNan},
              {"refuse", Fault::kRefuse},
              {"shape", Fault::kShape},
              {"kill", Fault::kKill}},
             "what goes wrong");
    p.get("layer", layer_, "where");
    p.get("decoding", decoding_, "only while decoding");
  }

  at::Tensor score(const LayerView& layer) const override {
    at::Tensor scores = -layer.keys.to(at::kFloat).norm(2, {-1});
    const bool is_decoding = !layer.queries_prerope.defined();
    if (layer.index != layer_ || is_decoding != decoding_) return scores;
    if (fault_ == Fault::kKill && layer.n_tokens() == kMeasured) raise(SIGKILL);
    if (fault_ == Fault::kKill) return scores;
    if (fault_ == Fault::kThrow) throw std::runtime_error("planted");
    if (fault_ == Fault::kThrowInt) throw 7;
    if (fault_ == Fault::kRefuse) throw InputError("planted refusal");
    if (fault_ == Fault::kShape) return scores.narrow(1, 1, scores.size(1) - 1);
    scores[-1][scores.size(1) / 2] = NAN;
    return scores;
  }
  std::optional<DecodeNeeds> decode_needs() const override { return DecodeNeeds{}; }

 private:
  Fault fault_ = Fault::kThrow;
  int64_t layer_ = 7;
  bool decoding_ = false;
};
KVB_REGISTER_SCORER("faulty", Faulty, "for tests: fails in one layer");

// In the first, a middle and the last layer, in every phase.
constexpr const char* kFaulty =
    "{name: throws, scorer: {name: faulty, layer: 6}, allocator: uniform},"
    "{name: throws_first, scorer: {name: faulty, layer: 0}, allocator: ada},"
    "{name: throws_int, scorer: {name: faulty, fault: throw_int, layer: 3}, allocator: uniform},"
    "{name: nan_last, scorer: {name: faulty, fault: nan}, allocator: uniform},"
    "{name: nan_spanning, scorer: {name: faulty, fault: nan}, allocator: global},"
    "{name: refuses, scorer: {name: faulty, fault: refuse, layer: 2}, allocator: uniform},"
    "{name: wrong_shape, scorer: {name: faulty, fault: shape, layer: 4}, allocator: uniform},"
    "{name: throws_decoding, scorer: {name: faulty, decoding: true}, allocator: uniform,"
    " decode: {when: overflow}},"
    "{name: nan_decoding, scorer: {name: faulty, fault: nan, decoding: true}, allocator: uniform,"
    " decode: {when: overflow}},"
    "{name: throws_in_chunks, scorer: {name: faulty, decoding: true, layer: 3},"
    " allocator: uniform, prefill: {chunk: 64}}";

TEST_F(SweepTest, FailuresStayWhereTheyHappen) {
  const Results sound = run(config(kManyTasks, fmt::format("[{}]", kSound), kEveryBlock, "a.h5"));
  const Results mixed =
      run(config(kManyTasks, fmt::format("[{}, {}]", kFaulty, kSound), kEveryBlock, "b.h5"));
  EXPECT_TRUE(sound.state.complete);
  EXPECT_TRUE(mixed.state.complete);
  for (const SampleRow& row : sound.rows) EXPECT_EQ(row.error, "") << row.policy;
  std::set<std::string> good;
  for (const CellRow& cell : sound.cells) good.insert(cell.policy);
  EXPECT_EQ(texts_of(mixed, [&](const SampleRow& row) { return good.contains(row.policy); }),
            texts_of(sound));
  std::map<std::string, std::set<std::string>> errors;
  for (const SampleRow& row : mixed.rows) {
    if (good.contains(row.policy)) continue;
    // Nothing is removed at ratio 0, so nobody is asked.
    EXPECT_EQ(row.error.empty(), row.ratio == 0) << row.policy << " at " << row.ratio;
    EXPECT_EQ(std::isnan(row.score), row.ratio > 0) << row.policy;
    if (!row.error.empty()) errors[row.policy].insert(row.error);
  }
  EXPECT_EQ(errors["throws"], std::set<std::string>{"layer 6: planted"});
  EXPECT_EQ(errors["throws_first"], std::set<std::string>{"layer 0: planted"});
  EXPECT_EQ(errors["refuses"], std::set<std::string>{"planted refusal"});
  for (const char* name : {"throws_int", "nan_last", "nan_spanning", "wrong_shape",
                           "throws_decoding", "nan_decoding", "throws_in_chunks"}) {
    EXPECT_FALSE(errors[name].empty()) << name;
  }
  EXPECT_NE(errors["nan_last"].begin()->find("NaN"), std::string::npos);
  // A row a policy, ratio and length; oracles are not measured.
  std::map<std::string, int> measured, failed;
  for (const LatencyRow& row : mixed.latency) {
    EXPECT_EQ(row.context_tokens, 200);
    ++(row.error.empty() ? measured : failed)[row.policy];
  }
  EXPECT_EQ(measured["full"], 1);
  EXPECT_EQ(measured["snapkv"], 2);
  EXPECT_EQ(measured["throws"], 1);  // at ratio 0
  EXPECT_EQ(failed["throws"], 1);
  EXPECT_FALSE(measured.contains("oracle_uniform"));
  for (const LatencyRow& row : mixed.latency) {
    if (row.error.empty()) {
      EXPECT_GT(row.tpot_ms, 0) << row.policy;
    }
  }
}

// Whatever allocation fails: once, and rows are right; many in a row, and they are or say so.
TEST_F(SweepTest, FullMemoryFailsRowsNotTheSweep) {
  const SweepConfig sweep = config(
      "[{task: ruler/qa_1, file: two.jsonl, max_new_tokens: 4}]",
      "[full, adakv, kvzip, oracle_lukv, {preset: keydiff, name: chunked, prefill: {chunk: 64}},"
      " {preset: keydiff, name: cut, decode: {when: overflow}}]",
      "ratios: [0.5]\nfidelity: true\nlikelihood: true");
  const auto key = [](const SampleRow& row) {
    return fmt::format("{} {}", row.policy, row.sample_id);
  };
  const auto n_allocations = [](const auto& work) {
    const FullMemory none(-1, -1);
    work();
    return none.n_allocations();
  };
  std::map<std::string, std::string> sound;
  const int64_t n_all = n_allocations([&] {
    for (const SampleRow& row : run(sweep).rows) sound[key(row)] = row.prediction;
  });
  const int64_t n_of_model = n_allocations(
      [&] { const Decoder model(sweep.model.path, at::kFloat, at::Device(at::kCPU)); });
  const int64_t n_places = n_failures(8);
  int64_t n_failed = 0;
  for (const int64_t in_a_row : {1, 50, 3000}) {
    for (int64_t first = 0; first < n_all; first += std::max<int64_t>(n_all / n_places, 1)) {
      SCOPED_TRACE(fmt::format("{} from {} of {}", in_a_row, first, n_all));
      fs::remove(folder_ / "out.h5");
      const FullMemory memory(first, first + in_a_row - 1);
      try {
        const Results results = run(sweep);
        EXPECT_EQ(results.rows.size(), sound.size());
        for (const SampleRow& row : results.rows) {
          if (row.error.empty()) {
            EXPECT_EQ(row.prediction, sound[key(row)]) << key(row);
          } else {
            EXPECT_GT(in_a_row, 1) << row.error;
            EXPECT_NE(row.error.find("planted"), std::string::npos) << row.error;
            ++n_failed;
          }
        }
      } catch (const std::exception&) {
        EXPECT_LT(first, n_of_model);
      }
    }
  }
  EXPECT_GT(n_failed, 0);
}

TEST_F(SweepTest, FailedRowsAreTriedAgain) {
  const char* policies = "[full, {name: f, scorer: {name: faulty, layer: 6}, allocator: uniform}]";
  Results results = run(config(kFileTask, policies));
  EXPECT_EQ(results.cells[1].n_errors, 2);
  const std::string session = results.state.sessions;
  results = run(config(kFileTask, policies), {.keep_failed = true});
  EXPECT_EQ(results.state.sessions, session) << "nothing to do";
  results = run(config(kFileTask, policies));
  EXPECT_EQ(results.cells[1].n_errors, 2);
  EXPECT_EQ(results.rows.size(), 4u);
  EXPECT_GT(results.state.sessions.size(), session.size());
}

}  // namespace
}  // namespace kvbench
