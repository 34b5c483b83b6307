// profile as its users meet it: wrong requests, and a real profile that is killed and run again.
#include <chrono>
#include <thread>

#include "harness/base/hdf5.h"
#include "harness/cli/test_refused.h"
#include "harness/golden/golden.h"

namespace kvbench::test_process {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProfile = R"(name: tiny
model: {path: model}
device: cpu
chat_template: false
contexts: {file: prose.txt, count: 2, length: 50}
scorers:
  - {scorer: keydiff}
output: out.h5
)";

class ProfileRefusedTest : public RefusedTest {
 protected:
  void SetUp() override {
    RefusedTest::SetUp();
    write_bytes(folder / "profile.yaml", kProfile);
    std::string prose;
    for (int i = 0; i < 60; ++i) prose += "This is a sentence of some words. ";
    write_bytes(folder / "prose.txt", prose);
    write_bytes(folder / "short.txt", "Too short.");
    const h5::File results(folder / "results.h5", h5::Mode::kCreate);
    h5::write_array<int32_t>(results, "samples", {1}, std::vector<int32_t>{1});
  }
};

TEST_P(ProfileRefusedTest, WithOneLine) {
  const BadInput& bad = GetParam();
  if (!bad.before.empty()) edit("profile.yaml", bad.before, bad.after);
  const auto names = names_below(folder / "");
  expect_refused(kvbench(folder / "", bad.arguments), bad.expected);
  EXPECT_EQ(names_below(folder / ""), names);
}

Words profile_with(const std::string& setting) {
  return {"profile", "profile.yaml", "--set", setting};
}
const Words kRun = {"profile", "profile.yaml"};

INSTANTIATE_TEST_SUITE_P(
    Profile, ProfileRefusedTest,
    testing::Values(
        BadInput{"Nothing", {"expected a configuration"}, {"profile"}},
        BadInput{"NoFile", {"nowhere.yaml", "no such file"}, {"profile", "nowhere.yaml"}},
        BadInput{"UnknownKey",
                 {"--set decode_step=3", "did you mean decode_steps?"},
                 profile_with("decode_step=3")},
        BadInput{"UnknownScorer",
                 {"profile.yaml:7: unknown scorer \"keydif\"", "did you mean keydiff?"},
                 kRun,
                 "scorer: keydiff",
                 "scorer: keydif"},
        BadInput{"UnknownParameter",
                 {"profile.yaml:7: ", "recents", "recent"},
                 kRun,
                 "scorer: keydiff",
                 "scorer: {name: keydiff, recents: 3}"},
        BadInput{"NoProse", {"no such file: /", "gone.txt"}, kRun, "prose.txt", "gone.txt"},
        BadInput{"ShortProse", {"short.txt: too short"}, kRun, "prose.txt", "short.txt"},
        BadInput{"WindowOfAll",
                 {"context 0: 50 tokens are not more than the 4 sinks and the window of 46"},
                 kRun,
                 "scorer: keydiff",
                 "scorer: keydiff, window: 46"},
        BadInput{"TooLong", {"context 0", "2048 positions"}, profile_with("decode_steps=5000")},
        BadInput{"NoWeights", {"model", "safetensors"}, kRun},
        BadInput{"OutputIsAFolder",
                 {"model: is a folder"},
                 {"profile", "profile.yaml", "--output", "model"}},
        BadInput{"OutputIsNoProfile",
                 {"is not a profile"},
                 {"profile", "profile.yaml", "--output", "results.h5"}},
        BadInput{"GapWithoutLosses",
                 {"--gap needs `losses: true`"},
                 {"profile", "profile.yaml", "--gap"}},
        BadInput{"BudgetsWithoutGap",
                 {"--budgets-from: expected --gap"},
                 {"profile", "profile.yaml", "--budgets-from", "file"}},
        BadInput{"ImportWithoutOutput", {"expected --output"}, {"profile", "--import-npy", "file"}},
        BadInput{"ImportOfSomethingElse",
                 {"file: is not a NumPy file"},
                 {"profile", "--import-npy", "file", "--output", "new.h5"}}),
    case_name);

// Everything in the file that must not depend on kills.
std::vector<std::vector<float>> curves_of(const fs::path& path) {
  const h5::File file(path, h5::Mode::kRead);
  EXPECT_EQ(h5::read_attribute<int64_t>(file, "/", "complete"), 1);
  std::vector<std::vector<float>> all;
  for (const char* scorer : {"keydiff", "snapkv"}) {
    for (const char* name : {"/table", "/curves", "/hull_slopes"}) {
      all.push_back(h5::read_array<float>(file, std::string(scorer) + name).values);
    }
  }
  return all;
}

TEST(Profile, IsTheSameAfterAKillAndServesASweep) {
  if (!fs::exists(golden::model_dir() / "model.safetensors")) {
    GTEST_SKIP() << golden::model_dir() << " is absent";
  }
  const test_run::Folder folder;
  std::string prose;
  for (int i = 0; i < 400; ++i) prose += fmt::format("Day {} was colder than the last. ", i);
  write_bytes(folder / "prose.txt", prose);
  write_bytes(folder / "profile.yaml", fmt::format(R"(name: real
model: {{path: "{}", dtype: float32}}
device: cpu
contexts: {{file: prose.txt, count: 3, length: 120, questions: 2}}
decode_steps: 3
losses: true
scorers:
  - {{scorer: keydiff}}
  - {{scorer: snapkv, window: 32}}
output: a.h5
)",
                                                   golden::model_dir().string()));
  expect_done(kvbench(folder / "", {"profile", "profile.yaml", "--gap"}));
  {
    const Process process(folder / "", {"profile", "profile.yaml", "--output", "b.h5"});
    while (process.running() && !fs::exists(folder / "b.h5.parts/0000000000.h5")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }  // killed
  expect_done(kvbench(
      folder / "", {"profile", "profile.yaml", "--output", "b.h5", "--export-npy", "table.npy"}));
  EXPECT_EQ(curves_of(folder / "a.h5"), curves_of(folder / "b.h5"));
  EXPECT_FALSE(fs::exists(folder / "b.h5.parts"));
  expect_done(kvbench(folder / "",
                      {"profile", "--import-npy", "table.keydiff.npy", "--output", "imported.h5"}));
  // Another configuration does not go on with the file.
  expect_refused(kvbench(folder / "", {"profile", "profile.yaml", "--set", "decode_steps=4"}),
                 {"a.h5: holds another profile", "decode_steps: 3", "decode_steps: 4"});
  for (const char* allocator :
       {"name: lukv, profile: imported.h5", "name: lukv, profile: a.h5, table: keydiff/table",
        "name: lukv_curves, profile: a.h5, group: keydiff"}) {
    expect_done(kvbench(folder / "", {"inspect", "--model", golden::model_dir().string(), "--text",
                                      "prose.txt", "--policy",
                                      fmt::format("{{scorer: keydiff, allocator: {{{}}}, "
                                                  "protect: {{sink: 4, recent: 1}}}}",
                                                  allocator),
                                      "--ratio", "0.5", "--output", "inspect.h5"}));
  }
  const std::string online =
      "{scorer: keydiff, allocator: {name: lukv_online, profile: a.h5, group: keydiff}, "
      "protect: {sink: 4, recent: 1}}";
  expect_refused(kvbench(folder / "", {"check-policy", online}), {"[30, 3, ", "--model"});
  // A profile serves what it was made with.
  expect_refused(
      kvbench(folder / "", {"inspect", "--model", golden::model_dir().string(), "--text",
                            "prose.txt", "--policy",
                            "{scorer: keydiff, allocator: {name: lukv, profile: a.h5, table: "
                            "snapkv/table}, protect: {sink: 4, recent: 32}}",
                            "--ratio", "0.5", "--output", "inspect2.h5"}),
      {"made with scorer snapkv(", "paired with scorer keydiff"});
  // The gap is kept in the file; budgets are judged on other contexts, too.
  const Outcome report = kvbench(folder / "", {"report", "a.h5"});
  expect_done(report);
  EXPECT_NE(report.out.find("keydiff: loss in %"), std::string::npos) << report.out;
  EXPECT_NE(report.out.find("snapkv: share kept"), std::string::npos) << report.out;
  const Outcome transfer =
      kvbench(folder / "", {"profile", "profile.yaml", "--gap", "--budgets-from", "b.h5"});
  expect_done(transfer);
  EXPECT_NE(transfer.out.find("with the budgets of b.h5"), std::string::npos) << transfer.out;
}

}  // namespace
}  // namespace kvbench::test_process
