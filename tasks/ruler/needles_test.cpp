#include "tasks/ruler/needles.h"

#include "tasks/ruler/test_files.h"
#include "tasks/test_samples.h"

namespace kvbench::ruler {
namespace {

using Texts = std::vector<std::string>;

TEST(Needles, AreSentencesWithTheAnswers) {
  const std::string context =
      "Grass. One of the special magic numbers for a is: 12. Sky. One of the special magic "
      "numbers for b is: 34. One of the special magic numbers for a is: 56.";
  EXPECT_EQ(needles_of("niah", context, {"56", "12"}),
            (Texts{"One of the special magic numbers for a is: 56",
                   "One of the special magic numbers for a is: 12"}));
  EXPECT_EQ(needles_of("niah_ruler2", context, {"34", "99"}),
            (Texts{"One of the special magic numbers for b is: 34"}));
}

TEST(Needles, AreAssignmentsOfTheVariables) {
  const std::string context =
      "VAR AB = 12345\nnoise\nVAR CD = VAR AB \nVAR EF = 7\nVAR GH = VAR CD";
  EXPECT_EQ(needles_of("variable_tracking", context, {"AB", "CD", "GH", "XY"}),
            (Texts{"VAR AB = 12345", "VAR CD = VAR AB", "VAR GH = VAR CD"}));
}

TEST(Needles, OtherFamiliesHaveNone) { EXPECT_TRUE(needles_of("qa", "12", {"12"}).empty()); }

// Every answer of generated samples has its piece of the context.
TEST(Needles, AreFoundInWhatIsGenerated) {
  const TokenCounter count_words = [](std::string_view text) {
    return std::count(text.begin(), text.end(), ' ') + 1;
  };
  for (const char* task : {"ruler/niah_single_1", "ruler/vt"}) {
    for (const Sample& sample :
         all_samples({.name = task, .length = 1024, .samples = 3}, count_words)) {
      ASSERT_EQ(sample.needles.size(), sample.references.size()) << task;
      for (size_t i = 0; i < sample.needles.size(); ++i) {
        EXPECT_NE(sample.context.find(sample.needles[i]), std::string::npos);
        EXPECT_NE(sample.needles[i].find(sample.references[i]), std::string::npos);
      }
    }
  }
}

}  // namespace
}  // namespace kvbench::ruler
