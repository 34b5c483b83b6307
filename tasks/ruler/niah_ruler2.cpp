#include "tasks/ruler/niah_ruler2.h"

#include <algorithm>

#include "harness/base/registry.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

constexpr std::string_view kOneTemplate =
    "A special magic {type_needle_v} is hidden within the following text. Make sure to memorize "
    "it. I will quiz you about the {type_needle_v} afterwards.\n{context}\nWhat is the special "
    "magic {type_needle_v} for {query} mentioned in the provided text? The special magic "
    "{type_needle_v} for {query} mentioned in the provided text is";
constexpr std::string_view kSeveralTemplate =
    "Some special magic {type_needle_v} are hidden within the following text. Make sure to "
    "memorize them. I will quiz you about the {type_needle_v} afterwards.\n{context}\nWhat are all "
    "the special magic {type_needle_v} for {query} mentioned in the provided text? The special "
    "magic {type_needle_v} for {query} mentioned in the provided text are";

class Ruler2Samples : public FittedSamples {
 public:
  Ruler2Samples(const GenerateRequest& request, const TokenCounter& count_tokens,
                const NiahParameters& parameters)
      : FittedSamples(
            {.task = request.task,
             .max_length = request.length,
             .step = noise_step(request.length,
                                std::max<int64_t>(5, parameters.num_keys * parameters.num_values))},
            request.seed, /*counted_answer=*/0, count_tokens, /*answer_prefix=*/""),
        parameters_(parameters),
        words_(load_needle_words(parameters, request.data / "words")) {
    fit();
  }

 private:
  // Every key comes num_values times: all keys, then all again. One value each: nothing to shuffle.
  std::vector<std::string> distractors(int64_t count, Random& random) const {
    const int64_t n_keys = (count + parameters_.num_values - 1) / parameters_.num_values;
    std::vector<std::string> keys, needles;
    for (int64_t i = 0; i < n_keys; ++i) keys.push_back(draw_key(parameters_, words_, random));
    for (int64_t i = 0; i < count; ++i) {
      needles.push_back(niah_needle(parameters_.values, keys[static_cast<size_t>(i % n_keys)],
                                    draw_value(parameters_, words_, random)));
    }
    if (parameters_.num_values > 1) random.shuffle(needles);
    return needles;
  }

  std::optional<Draw> draw(int64_t size, int64_t /*line*/, Random& random) const override {
    const Hidden hidden = draw_hidden(parameters_, words_, seed(), random);
    const std::vector<std::string> others = distractors(size, random);
    const std::optional<std::string> text =
        hide_between_lines({others.begin(), others.end()}, hidden.needles, random);
    if (!text) return std::nullopt;
    Asked asked = draw_asked(parameters_, hidden, random);
    return Draw{niah_ruler2_prompt(parameters_, *text, asked.query), std::move(asked.answers)};
  }

  NiahParameters parameters_;
  WordLists words_;
};

}  // namespace

std::string niah_ruler2_prompt(const NiahParameters& parameters, const std::string& context,
                               const std::string& query) {
  const bool one = parameters.num_queries * parameters.num_values == 1;
  std::string type = plural(parameters.values);
  if (one) type.pop_back();
  return fill_template(one ? kOneTemplate : kSeveralTemplate,
                       {{"type_needle_v", type}, {"context", context}, {"query", query}});
}

NiahRuler2::NiahRuler2(Params& p) {
  parameters_.haystack = HaystackType::kNeedle;
  read_needle_types(p, parameters_);
  p.get("num_digits_v", parameters_.value_digits, "digits of a value of type numbers");
  p.require_range("num_digits_v", static_cast<double>(parameters_.value_digits), 1, 18);
}

std::unique_ptr<RecordSource> NiahRuler2::start(const GenerateRequest& request,
                                                const TokenCounter& count_tokens) const {
  return std::make_unique<Ruler2Samples>(request, count_tokens, parameters_);
}

KVB_REGISTER(RulerGenerator, "niah_ruler2", NiahRuler2,
             "needles among other needles, as RULERv2 hides them");

}  // namespace kvbench::ruler
