#include "tasks/ruler/variable_tracking.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <set>

#include "harness/base/registry.h"
#include "tasks/ruler/haystack.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

// RULER scripts/data/synthetic/constants.py.
constexpr std::string_view kTemplate =
    "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n"
    "{context}\nQuestion: Find all variables that are assigned the value {query} in the text "
    "above.";
constexpr std::string_view kAnswerPrefix =
    " Answer: According to the chain(s) of variable assignment in the text above, {num_v} "
    "variables "
    "are assigned the value {query}, they are: ";

constexpr int64_t kExampleLength = 500;  // tokens of the solved example
constexpr const char* kExampleValue = "12345";
constexpr size_t kExampleLetters = 3;
constexpr size_t kLetters = 5;

std::string draw_name(size_t letters, Random& random) {
  std::string name;
  for (size_t i = 0; i < letters; ++i) name += static_cast<char>('A' + random.below(26));
  return name;
}

// numpy.random.randint excludes its upper bound 99999.
std::string draw_value(Random& random) { return fmt::format("{}", random.between(10000, 99998)); }

}  // namespace

std::vector<std::string> variable_chain(const std::vector<std::string>& names,
                                        const std::string& value) {
  std::vector<std::string> lines = {fmt::format("VAR {} = {}", names[0], value)};
  for (size_t i = 1; i < names.size(); ++i) {
    lines.push_back(fmt::format("VAR {} = VAR {} ", names[i], names[i - 1]));
  }
  return lines;
}

std::string variable_prompt(const std::string& context, const std::string& value,
                            int64_t variables) {
  return fill_template(
      std::string(kTemplate).append(kAnswerPrefix),
      {{"context", context}, {"query", value}, {"num_v", fmt::format("{}", variables)}});
}

namespace {

// What distinguishes the solved example from the task proper.
struct Shape {
  size_t letters;           // of a variable name
  std::string first_value;  // empty = random
};

class VariableSamples : public FittedSamples {
 public:
  VariableSamples(const GenerateRequest& request, const TokenCounter& count_tokens,
                  int64_t num_chains, int64_t num_hops)
      : FittedSamples({.task = request.task,
                       .max_length = request.length,
                       .step = noise_step(request.length, 10)},
                      request.seed, request.tokens_to_generate, count_tokens, kAnswerPrefix),
        num_chains_(num_chains),
        num_hops_(num_hops) {
    Random random = random_of(seed(), kShared);
    example_ = solved_example(random);
    set_size(fit_size(
        rule(),
        [&](int64_t lines) {
          return draw_chains(lines, {kLetters, ""}, random);
        },
        count_tokens, count_tokens(example_) + counted_answer()));
  }

 private:
  std::optional<Draw> draw(int64_t lines, int64_t /*line*/, Random& random) const override {
    std::optional<Draw> drawn = draw_chains(lines, {kLetters, ""}, random);
    if (drawn) drawn->prompt = relabelled(random) + "\n" + drawn->prompt;
    return drawn;
  }

  std::optional<Draw> draw_chains(int64_t lines, const Shape& shape, Random& random) const {
    const auto chain_length = static_cast<size_t>(num_hops_) + 1;
    if (lines < static_cast<int64_t>(chain_length)) return std::nullopt;
    // RULER fails and draws again when two names are equal; here names are drawn until they differ.
    std::vector<std::string> names;
    std::set<std::string> seen;
    while (names.size() < chain_length * static_cast<size_t>(num_chains_)) {
      const std::string name = draw_name(shape.letters, random);
      if (seen.insert(name).second) names.push_back(name);
    }

    Draw drawn;
    std::string asked_value;
    std::vector<std::string_view> text(static_cast<size_t>(lines), kNoiseLine);
    std::list<std::vector<std::string>> assignments;  // `text` refers to them
    for (auto first = names.begin(); first != names.end();
         first += static_cast<int64_t>(chain_length)) {
      const std::vector<std::string> chain(first, first + static_cast<int64_t>(chain_length));
      const std::string value = shape.first_value.empty() ? draw_value(random) : shape.first_value;
      if (asked_value.empty()) {
        asked_value = value;
        drawn.answers = chain;
      }
      std::vector<size_t> positions = random.sample(text.size(), chain_length);
      std::sort(positions.begin(), positions.end());
      assignments.push_back(variable_chain(chain, value));
      for (size_t i = 0; i < chain_length; ++i) {
        text.insert(text.begin() + static_cast<int64_t>(positions[i] + i), assignments.back()[i]);
      }
    }
    drawn.prompt = variable_prompt(join_views(text, "\n"), asked_value, num_hops_ + 1);
    return drawn;
  }

  // Its prompt, one blank more, the names, a newline.
  std::string solved_example(Random& random) const {
    const Drawer drawer = [&](int64_t lines) {
      return draw_chains(lines, {kExampleLetters, kExampleValue}, random);
    };
    const FitRule rule = {
        .task = this->rule().task + " (solved example)", .max_length = kExampleLength, .step = 5};
    const int64_t lines = fit_size(rule, drawer, count_tokens(), 0);
    const Draw drawn = fit_draw(rule, lines, drawer, count_tokens(), 0).draw;
    return drawn.prompt + " " + join(drawn.answers, " ") + "\n";
  }

  // The example with each name replaced by a fresh one everywhere, one after the other, then the
  // value.
  std::string relabelled(Random& random) const {
    std::string_view answers = std::string_view(example_).substr(0, example_.size() - 1);
    std::vector<std::string> names;
    for (int64_t i = 0; i <= num_hops_; ++i) {
      const size_t blank = answers.rfind(' ');
      names.insert(names.begin(), std::string(answers.substr(blank + 1)));
      answers = answers.substr(0, blank);
    }
    std::string example = example_;
    for (const std::string& name : names) {
      example = replace_all(example, name, draw_name(name.size(), random));
    }
    return replace_all(example, kExampleValue, draw_value(random));
  }

  int64_t num_chains_, num_hops_;
  std::string example_;
};

}  // namespace

VariableTracking::VariableTracking(Params& p) {
  p.get("num_chains", num_chains_, "chains of assignments; the first is asked for");
  p.get("num_hops", num_hops_, "assignments after the first of a chain");
  p.require_range("num_chains", static_cast<double>(num_chains_), 1, 1000);
  // The example is probed with 5 lines, which must hold hops + 1 lines of a chain.
  p.require_range("num_hops", static_cast<double>(num_hops_), 1, 4);
}

std::unique_ptr<RecordSource> VariableTracking::start(const GenerateRequest& request,
                                                      const TokenCounter& count_tokens) const {
  return std::make_unique<VariableSamples>(request, count_tokens, num_chains_, num_hops_);
}

KVB_REGISTER(RulerGenerator, "variable_tracking", VariableTracking,
             "chains of variable assignments in noise");

}  // namespace kvbench::ruler
