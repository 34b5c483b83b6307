// Gates by their formula in plain loops, one token at a time, what is refused, and that a token's
// score stays what it was.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/base/test_util.h"
#include "policies/gates/gates.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

constexpr ModelShape kModel = {2, 2, 4, 24};  // random_view()'s, with another layer

class GateTest : public ::testing::Test {
 protected:
  GateTest() { write_gates(path_, kModel, random_gate_values()); }

  std::unique_ptr<Scorer> gate(std::vector<Params::Given> more = {}) const {
    more.push_back({"gate", path_.string()});
    return testing::scorer("gate", std::move(more));
  }

  // What is wrong with the file after `edit` of its header's text.
  template <class F>
  std::string refusal(F&& edit) const {
    std::ifstream in(path_, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    auto header = nlohmann::json::parse(bytes.substr(sizeof length, length));
    std::string data = bytes.substr(sizeof length + length);
    edit(header, data);
    const std::string text = header.dump();
    length = text.size();
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out << text << data;
    out.close();
    try {
      Gates gates(path_);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "gates.safetensors";
};

// Head by head, token by token, in double; r = 4, S = 2, G = 2.
TEST_F(GateTest, IsTheFormula) {
  GateValues values = random_gate_values();
  std::map<std::string, std::vector<float>> of;
  for (int64_t l = 0; l < 2; ++l) {  // the second layer's stay
    for (const auto& [name, size] :
         std::vector<std::pair<std::string, int64_t>>{{"q_proj.weight", 16 * 24},
                                                      {"q_proj.bias", 16},
                                                      {"k_proj.weight", 8 * 24},
                                                      {"q_norm.weight", 4},
                                                      {"k_norm.weight", 4},
                                                      {"k_base", 16},
                                                      {"b", 4}}) {
      of[name] = values(l, name, size);
    }
  }
  LayerView layer = testing::random_view(9);
  layer.index = 1;
  const at::Tensor got = gate({{"sinks", "0"}, {"window", "1"}, {"bias_times", "2"}})->score(layer);
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t t = 0; t < 8; ++t) {
      const auto projected = [&](const std::string& weight, const std::string& norm, int64_t first,
                                 bool bias) {
        std::vector<double> rows(4);
        double squares = 0;
        for (int64_t i = 0; i < 4; ++i) {
          if (bias) rows[i] = of["q_proj.bias"][first + i];
          for (int64_t c = 0; c < 24; ++c) {
            rows[i] +=
                double{of[weight][(first + i) * 24 + c]} * layer.hidden_states[t][c].item<double>();
          }
          squares += rows[i] * rows[i];
        }
        for (int64_t i = 0; i < 4; ++i) rows[i] *= of[norm][i] / std::sqrt(squares / 4 + 1e-6);
        return rows;
      };
      const auto k = projected("k_proj.weight", "k_norm.weight", h * 4, false);
      double score = 0;
      for (int64_t g = 0; g < 2; ++g) {
        const auto q = projected("q_proj.weight", "q_norm.weight", (h * 2 + g) * 4, true);
        double logit = 2 * of["b"][h * 2 + g], others = 0;
        for (int64_t i = 0; i < 4; ++i) logit += k[i] * q[i] / 2;
        for (int64_t s = 0; s < 2; ++s) {
          double base = 0;
          for (int64_t i = 0; i < 4; ++i) base += of["k_base"][(h * 2 + s) * 4 + i] * q[i] / 2;
          others += std::exp(base - logit);
        }
        score += 1 / (1 + others) / 2;
      }
      EXPECT_NEAR(got[h][t].item<double>(), score, 1e-5) << h << " " << t;
    }
  }
}

TEST_F(GateTest, SinksAndWindowAreOne) {
  const auto ones = [&](int64_t n_tokens, std::vector<Params::Given> given) {
    return gate(std::move(given))->score(testing::random_view(n_tokens)).eq(1).sum(1);
  };
  EXPECT_TRUE(at::equal(ones(300, {}), at::tensor({10L, 10L})));  // 4 and 2 %
  EXPECT_TRUE(at::equal(ones(40, {}), at::tensor({5L, 5L})));     // one at least
  EXPECT_TRUE(at::equal(ones(3, {}), at::tensor({3L, 3L})));
  EXPECT_TRUE(at::equal(ones(40, {{"window", "7"}, {"sinks", "1"}}), at::tensor({8L, 8L})));
}

// A cut cache of one head, and three tokens that came behind it: theirs alone are asked.
TEST_F(GateTest, EachTokenIsAskedOnce) {
  const LayerView whole = testing::random_view(20);
  const auto scorer = gate({{"window", "1"}});
  const at::Tensor all = scorer->carry(whole, {});
  LayerView later = whole;
  later.head = 1;
  later.positions = {0, 5, 9, 17, 18, 19};
  later.keys = later.values = whole.keys.narrow(0, 1, 1).narrow(1, 0, 6);
  later.hidden_states = whole.hidden_states.narrow(0, 17, 3);
  const at::Tensor before = all.narrow(0, 1, 1).index_select(1, at::tensor({0L, 5L, 9L}));
  const at::Tensor carried = scorer->carry(later, before);
  testing::expect_near(
      carried, all.narrow(0, 1, 1).index_select(1, at::tensor({0L, 5L, 9L, 17L, 18L, 19L})), 1e-6);
  EXPECT_EQ(scorer->rank(later, carried)[0][5].item<float>(), 1);
  EXPECT_NE(carried[0][5].item<float>(), 1);  // only as long as it is in the window
  later.hidden_states.reset();
  EXPECT_THROW(scorer->carry(later, before), InputError);
}

TEST_F(GateTest, IsForItsModelOnly) {
  const auto refused = [&](ModelShape model) -> std::string {
    try {
      gate()->validate(model);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(refused(kModel), "");
  EXPECT_EQ(refused({3, 2, 4, 24}), path_.string() +
                                        ": gates of a model with 2 layers of full "
                                        "attention, the model has 3");
  EXPECT_NE(refused({2, 4, 4, 24}).find("2 KV heads"), std::string::npos);
  EXPECT_NE(refused({2, 2, 8, 24}).find("4 query heads"), std::string::npos);
  EXPECT_NE(refused({2, 2, 4, 32}).find("24 hidden values"), std::string::npos);
  EXPECT_THROW(testing::scorer("gate")->validate(kModel), InputError);
}

TEST_F(GateTest, TrustsNothingInTheFile) {
  const auto missing = refusal([](auto& header, auto&) {
    header["layers.7.b"] = header["layers.1.b"];
    header.erase("layers.1.b");
  });
  EXPECT_EQ(missing,
            path_.string() + ": tensor layers.1.b is missing: expected the gates of a model");
  write_gates(path_, kModel, random_gate_values());
  const auto shape = refusal([](auto& header, auto&) {
    header["layers.1.q_norm.weight"]["shape"] = {2, 2};
  });
  EXPECT_EQ(shape, path_.string() +
                       ": tensor layers.1.q_norm.weight: expected shape [4], as the "
                       "other tensors say, got [2, 2]");
  write_gates(path_, kModel, random_gate_values());
  const auto type = refusal([](auto& header, auto&) { header["layers.0.b"]["dtype"] = "I32"; });
  EXPECT_EQ(type, path_.string() + ": tensor layers.0.b: expected F32, BF16 or F16, got I32");
  write_gates(path_, kModel, random_gate_values());
  const auto infinite = refusal([](auto&, auto& data) { std::fill_n(data.begin(), 4, '\xff'); });
  EXPECT_NE(infinite.find("not finite"), std::string::npos) << infinite;
  EXPECT_NE(refusal([](auto&, auto& data) { data.resize(data.size() - 4); }).find("data bytes"),
            std::string::npos);
}

}  // namespace
}  // namespace kvbench
