// For tests: takes a RULER sample apart and puts it together again from its random parts. The same
// checks run on the official reference files and on what the generators here make, so both have the
// same structure.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/ruler/haystack.h"
#include "tasks/ruler/niah.h"
#include "tasks/ruler/ruler_file.h"
#include "tasks/ruler/variable_tracking.h"
#include "tasks/text.h"

namespace kvbench::ruler {

inline NiahParameters niah_variant(HaystackType haystack, NeedleType keys, NeedleType values,
                                   int64_t num_keys, int64_t num_values, int64_t num_queries) {
  return {haystack, keys, values, num_keys, num_values, num_queries};
}

// The eight variants, written out here a second time to check the YAML files (RULER
// synthetic.yaml).
inline const std::map<std::string, NiahParameters>& niah_variants() {
  using enum HaystackType;
  using enum NeedleType;
  static const std::map<std::string, NiahParameters> all = {
      {"niah_single_1", niah_variant(kNoise, kWords, kNumbers, 1, 1, 1)},
      {"niah_single_2", niah_variant(kEssay, kWords, kNumbers, 1, 1, 1)},
      {"niah_single_3", niah_variant(kEssay, kWords, kUuids, 1, 1, 1)},
      {"niah_multikey_1", niah_variant(kEssay, kWords, kNumbers, 4, 1, 1)},
      {"niah_multikey_2", niah_variant(kNeedle, kWords, kNumbers, 1, 1, 1)},
      {"niah_multikey_3", niah_variant(kNeedle, kUuids, kUuids, 1, 1, 1)},
      {"niah_multivalue", niah_variant(kEssay, kWords, kNumbers, 1, 4, 1)},
      {"niah_multiquery", niah_variant(kEssay, kWords, kNumbers, 4, 1, 4)},
  };
  return all;
}

struct FoundNeedle {
  std::string key, value, text;
  size_t at = 0;  // byte offset of the needle in the context
};

inline std::vector<FoundNeedle> find_needles(const std::string& context, NeedleType type) {
  const std::string all = niah_needle(type, "\t", "\t");
  const std::string head = all.substr(0, all.find('\t'));
  constexpr std::string_view kIs = " is: ";
  std::vector<FoundNeedle> found;
  for (size_t at = context.find(head); at != context.npos; at = context.find(head, at + 1)) {
    const size_t is = context.find(kIs, at);
    const size_t end = context.find('.', is);
    const std::string key = context.substr(at + head.size(), is - at - head.size());
    const std::string value = context.substr(is + kIs.size(), end - is - kIs.size());
    found.push_back({key, value, niah_needle(type, key, value), at});
    EXPECT_EQ(context.substr(at, found.back().text.size()), found.back().text);
  }
  return found;
}

// The essay without its needles, cut into sentences again, must give the same context when the
// needles are put at 40-step depths. Returns nothing; failures are gtest's.
inline void check_essay(const std::string& context, const std::vector<FoundNeedle>& needles) {
  std::vector<std::string_view> sentences;
  std::vector<size_t> positions;
  std::vector<std::string> inserts;
  std::string_view rest = context;
  size_t offset = 0;
  std::vector<std::string> runs;
  for (const FoundNeedle& needle : needles) {
    ASSERT_GT(needle.at, offset);
    runs.emplace_back(rest.substr(offset, needle.at - 1 - offset));
    offset = std::min(needle.at + needle.text.size() + 1, context.size());
    inserts.push_back(needle.text);
  }
  runs.emplace_back(rest.substr(offset));
  for (const std::string& run : runs) {
    for (const std::string_view sentence : split_sentences(run)) sentences.push_back(sentence);
    positions.push_back(sentences.size());
  }
  positions.pop_back();
  // Cutting the runs and cutting the whole text must agree.
  std::string text;
  for (const std::string& run : runs) {
    if (!run.empty()) text.append(text.empty() ? "" : " ").append(run);
  }
  EXPECT_EQ(split_sentences(text).size(), sentences.size());
  for (const size_t position : positions) {
    EXPECT_TRUE(std::any_of(depths().begin(), depths().end(),
                            [&](int64_t depth) {
                              const double share = static_cast<double>(depth) / 100;
                              return position == static_cast<size_t>(
                                                     static_cast<double>(sentences.size()) * share);
                            }))
        << "sentence " << position << " of " << sentences.size();
  }
  EXPECT_EQ(insert_between_sentences(sentences, positions, inserts), context);
}

// For niah_multivalue: the places of the outputs in the text, the same for every sample of a seed.
inline std::vector<size_t> check_niah(const RulerRecord& record, const NiahParameters& parameters) {
  const size_t first = record.input.find('\n');
  const size_t last = record.input.rfind('\n');
  const std::string context = record.input.substr(first + 1, last - first - 1);
  const std::vector<FoundNeedle> needles = find_needles(context, parameters.values);
  const auto hidden = static_cast<size_t>(parameters.num_keys * parameters.num_values);

  // The query as it stands in the answer prefix, then the whole prompt again.
  const std::string prefix = record.answer_prefix.value();
  const size_t begin = prefix.find(" for ") + 5;
  const std::string query = prefix.substr(begin, prefix.find(" mentioned in") - begin);
  EXPECT_EQ(niah_prompt(parameters, context, query), record.prompt());
  EXPECT_EQ(prefix.substr(0, 10), " The speci");

  std::vector<size_t> places;
  std::vector<std::string> asked;
  for (const std::string& output : record.outputs) {
    const auto it = std::find_if(needles.begin(), needles.end(),
                                 [&](const auto& needle) { return needle.value == output; });
    if (it == needles.end()) {
      ADD_FAILURE() << "answer " << output << " is in no needle";
      return {};
    }
    places.push_back(static_cast<size_t>(it - needles.begin()));
    if ((places.size() - 1) % static_cast<size_t>(parameters.num_values) == 0) {
      asked.push_back(it->key);
    }
  }
  EXPECT_EQ(niah_query(asked), query);
  EXPECT_EQ(record.outputs.size(),
            static_cast<size_t>(parameters.num_queries * parameters.num_values));
  EXPECT_EQ(record.index,
            count_code_points(record.input.substr(0, record.input.find(record.outputs[0]))));

  if (parameters.haystack == HaystackType::kEssay) {
    EXPECT_EQ(needles.size(), hidden);
    check_essay(context, needles);
  } else {
    const std::vector<std::string_view> lines = split_lines(context);
    EXPECT_FALSE(lines.back() == needles[places[0]].text) << "a needle is never the last line";
    const auto noise = std::count(lines.begin(), lines.end(), kNoiseLine);
    const bool is_noise = parameters.haystack == HaystackType::kNoise;
    EXPECT_EQ(lines.size(), needles.size() + static_cast<size_t>(noise));
    if (is_noise) {
      EXPECT_EQ(needles.size(), hidden);
    } else {
      EXPECT_EQ(noise, 0);
    }
  }
  return places;
}

// The assignments among the lines of noise, in order; other lines are failures.
inline std::vector<std::string> assignments(const std::string& context) {
  std::vector<std::string> found;
  for (const std::string_view line : split_lines(context)) {
    if (line == kNoiseLine) continue;
    EXPECT_EQ(line.substr(0, 4), "VAR ");
    found.emplace_back(line);
  }
  return found;
}

struct VariableTrackingCheck {
  int64_t example_lines = 0, lines = 0;  // with the assignments
};

// num_chains 1, num_hops 4.
inline VariableTrackingCheck check_variable_tracking(const RulerRecord& record) {
  const std::string prompt = record.prompt();
  const std::string head = variable_prompt("", "", 5).substr(0, 20);
  const size_t main = prompt.rfind(head);
  EXPECT_GT(main, 2u);
  EXPECT_EQ(prompt.substr(main - 2, 2), "\n\n") << "one empty line after the example";
  VariableTrackingCheck check;
  const auto rebuild = [](const std::string& text, const std::vector<std::string>& names,
                          int64_t* lines) {
    const size_t begin = text.find("\n\n") + 2;
    const size_t end = text.rfind("\nQuestion: ");
    const std::string context = text.substr(begin, end - begin);
    *lines = static_cast<int64_t>(split_lines(context).size());
    const size_t value = text.find(" = ") + 3;
    const std::string number = text.substr(value, 5);
    EXPECT_GE(number, "10000");
    EXPECT_LE(number, "99998");
    EXPECT_EQ(assignments(context), variable_chain(names, number));
    return variable_prompt(context, number, 5);
  };

  EXPECT_EQ(record.outputs.size(), 5u);
  for (const std::string& name : record.outputs) EXPECT_EQ(name.size(), 5u);
  EXPECT_EQ(rebuild(prompt.substr(main), record.outputs, &check.lines), prompt.substr(main));

  const std::string example = prompt.substr(0, main - 2);
  std::vector<std::string> names;
  for (const std::string_view name :
       split_lines(std::string_view(example).substr(example.size() - 19), ' ')) {
    names.emplace_back(name);
    EXPECT_EQ(name.size(), 3u);
  }
  EXPECT_EQ(names.size(), 5u);
  EXPECT_EQ(rebuild(example, names, &check.example_lines) + " " + join(names, " "), example);
  return check;
}

}  // namespace kvbench::ruler
