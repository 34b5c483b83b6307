// The papers' tables: every sweep of configs/paper has targets that name what it runs.
#include <algorithm>

#include "harness/base/yaml.h"
#include "harness/cli/test_process.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;

const fs::path kPaper = fs::path(KVBENCH_TEST_ROOT) / "configs/paper";

// A top-level value of a sweep or of what it includes; nullptr when neither has it.
struct Sweep {
  explicit Sweep(const fs::path& file) : own(read_yaml(file)) {
    if (const YamlNode* include = own.find("include")) {
      included = read_yaml(file.parent_path() / include->text);
    }
  }
  const YamlNode* find(const std::string& key) const {
    const YamlNode* value = own.find(key);
    return value != nullptr ? value : included.find(key);
  }

  YamlNode own, included;
};

std::string name_of(const YamlNode& node) {  // of a policy or model
  if (node.kind != YamlNode::Kind::kMap) return node.text;
  for (const char* key : {"name", "hub", "preset"}) {
    if (const YamlNode* name = node.find(key)) return name->text;
  }
  return "";
}

std::set<std::string> names_of(const YamlNode& list) {
  std::set<std::string> names;
  for (const YamlNode& item : list.items) names.insert(name_of(item));
  return names;
}

std::vector<fs::path> targets_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(kPaper)) {
    if (entry.path().string().ends_with(".targets.yaml")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

fs::path sweep_of(const fs::path& targets) {
  return kPaper / (targets.stem().stem().string() + ".yaml");
}

TEST(Paper, EverySweepHasTargets) {
  ASSERT_FALSE(targets_files().empty());
  for (const auto& entry : fs::directory_iterator(kPaper)) {
    const fs::path& file = entry.path();
    if (file.extension() != ".yaml" || file.string().ends_with(".targets.yaml")) continue;
    EXPECT_TRUE(fs::exists(kPaper / (file.stem().string() + ".targets.yaml"))) << file;
  }
}

TEST(Paper, TargetsNameWhatTheirSweepRuns) {
  for (const fs::path& file : targets_files()) {
    SCOPED_TRACE(file);
    const Sweep sweep(sweep_of(file));
    ASSERT_NE(sweep.find("policies"), nullptr);
    EXPECT_EQ(sweep.find("name")->text, sweep_of(file).stem());
    EXPECT_EQ(sweep.find("output")->text, "../../results/" + sweep.find("name")->text + ".h5");
    const std::set<std::string> policies = names_of(*sweep.find("policies"));
    const std::set<std::string> ratios = names_of(*sweep.find("ratios"));
    const YamlNode targets = read_yaml(file);
    EXPECT_EQ(targets.find("model")->text, name_of(*sweep.find("model")));
    std::vector<YamlNode> columns;
    if (const YamlNode* said = targets.find("columns")) {
      if (const YamlNode* each = said->find("ratio")) columns = each->items;
    }
    for (const YamlNode& ratio : columns) EXPECT_TRUE(ratios.contains(ratio.text)) << ratio.text;
    std::set<std::string> met;
    for (const YamlNode& target : targets.find("targets")->items) {
      for (const char* key : {"policy", "against"}) {
        const YamlNode* policy = target.find(key);
        if (policy == nullptr) continue;
        EXPECT_TRUE(policies.contains(policy->text)) << policy->place() << ": " << policy->text;
        met.insert(policy->text);
      }
      if (const YamlNode* ratio = target.find("ratio")) {
        EXPECT_TRUE(ratios.contains(ratio->text)) << ratio->place() << ": " << ratio->text;
      }
    }
    EXPECT_EQ(met, policies);
  }
}

TEST(Paper, TargetsAreReadAndNothingElseIsJudgedByThem) {
  const fs::path results = fs::path(KVBENCH_TEST_ROOT) / "results/reference/quickstart.h5";
  for (const fs::path& file : targets_files()) {
    SCOPED_TRACE(file);
    const Outcome outcome = kvbench("/", {"report", results, "--targets", file});
    expect_done(outcome);
    EXPECT_NE(outcome.out.find("\nTargets that were not run\n"), std::string::npos) << outcome.out;
    if (file.string().find("smollm2") != std::string::npos) continue;
    EXPECT_NE(outcome.out.find("; the results are of smollm2-135m-instruct"), std::string::npos);
    EXPECT_EQ(outcome.out.find("\nTargets, "), std::string::npos) << outcome.out;
  }
}

}  // namespace
}  // namespace kvbench
