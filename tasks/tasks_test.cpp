#include <gtest/gtest.h>

#include <algorithm>

#include "harness/base/error.h"
#include "tasks/metrics.h"
#include "tasks/task.h"

namespace kvbench {
namespace {

TEST(Tasks, AllThirteenOfRuler) {
  const std::vector<std::string> ruler = {"ruler/cwe",
                                          "ruler/fwe",
                                          "ruler/niah_multikey_1",
                                          "ruler/niah_multikey_2",
                                          "ruler/niah_multikey_3",
                                          "ruler/niah_multiquery",
                                          "ruler/niah_multivalue",
                                          "ruler/niah_single_1",
                                          "ruler/niah_single_2",
                                          "ruler/niah_single_3",
                                          "ruler/qa_1",
                                          "ruler/qa_2",
                                          "ruler/vt"};
  const std::vector<std::string> names = task_names();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_TRUE(std::includes(names.begin(), names.end(), ruler.begin(), ruler.end()));
}

TEST(Tasks, AnswerToTheirNameAndHaveAMetric) {
  const std::vector<std::string> metrics = metric_names();
  for (const std::string& name : task_names()) {
    const Task& task = find_task(name);
    EXPECT_EQ(task.name(), name);
    EXPECT_NE(std::find(metrics.begin(), metrics.end(), task.protocol({}).grading.metric),
              metrics.end())
        << name;
  }
  EXPECT_EQ(find_task("ruler/qa_2").protocol({}).grading.metric, "string_match_part");
}

TEST(Tasks, GroupsAreTheBenchmarksTables) {
  EXPECT_EQ(tasks_of("ruler/all").size(), 13u);
  EXPECT_EQ(tasks_of("ruler/niah").size(), 8u);
  EXPECT_EQ(tasks_of("longbench/all").size(), 16u);
  EXPECT_EQ(tasks_of("longbench/zh").size(), 5u);
  EXPECT_EQ(tasks_of("longbench/e").size(), 13u);
  EXPECT_EQ(tasks_of("ruler/vt"), std::vector<std::string>{"ruler/vt"});
  EXPECT_THROW(tasks_of("ruler/al"), InputError);
  for (const auto& group : task_group_names()) {
    for (const auto& name : tasks_of(group)) EXPECT_EQ(find_task(name).name(), name);
  }
}

TEST(Tasks, UnknownNamesGetNearMatches) {
  try {
    find_task("ruler/niah_singel_1");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean ruler/niah_single_1"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace kvbench
