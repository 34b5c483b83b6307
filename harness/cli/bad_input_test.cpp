// Wrong command lines, configurations and data: one clear line, exit status 2, no file touched.
#include "harness/cli/test_refused.h"

namespace kvbench::test_process {
namespace {

TEST_P(RefusedTest, WithOneLine) {
  const BadInput& bad = GetParam();
  if (bad.name == "CudaWithoutDevice" && std::filesystem::exists("/dev/nvidiactl")) {
    GTEST_SKIP() << "there is a device";
  }
  if (!bad.before.empty()) edit("sweep.yaml", bad.before, bad.after);
  const auto names = names_below(folder / "");
  expect_refused(kvbench(folder / "", bad.arguments), bad.expected);
  EXPECT_EQ(names_below(folder / ""), names);
}

const Words kRun = {"run", "sweep.yaml"};
const std::string kGenerated = "lengths: [1024], samples: 1";
const std::string kPolicies = "[full, keydiff, snapkv]";

INSTANTIATE_TEST_SUITE_P(
    CommandLine, RefusedTest,
    testing::Values(
        BadInput{
            "UnknownVerb", {"unknown verb \"rum\"", "did you mean run?"}, {"rum", "sweep.yaml"}},
        BadInput{"NoVerb", {"subcommand is required"}, {}},
        BadInput{"NoModelVerb", {"subcommand is required"}, {"model"}},
        BadInput{"NoConfig", {"config is required"}, {"run"}},
        BadInput{"NoOutput",
                 {"--output is required"},
                 {"inspect", "--model", "m", "--policy", "full", "--ratio", "0", "--tokens",
                  "good.ids"}},
        BadInput{"UnknownOption", {"not expected: --bogus"}, {"run", "sweep.yaml", "--bogus"}},
        BadInput{"UnknownKind", {"planets", "policies"}, {"list", "planets"}},
        BadInput{"UnknownTable",
                 {"unknown table \"summery\"", "did you mean summary?"},
                 {"report", "out.h5", "--table", "summery"}},
        BadInput{"UnknownFormat",
                 {"unknown format \"latec\"", "did you mean latex?"},
                 {"report", "out.h5", "--format", "latec"}},
        BadInput{"NoTargets",
                 {"none.yaml", "no such file"},
                 {"report", "out.h5", "--targets", "none.yaml"}},
        BadInput{"NoResults", {"out.h5", "No such file"}, {"report", "out.h5"}},
        BadInput{"ResultsOfAnotherKind", {"file", "signature"}, {"report", "file"}},
        BadInput{"SetUnknownKey",
                 {"--set ratois=[0.5]", "unknown key \"ratois\"", "ratios?"},
                 run_with("ratois=[0.5]")},
        BadInput{"SetUnknownItem",
                 {"--set tasks.5.samples=2", "no item \"5\""},
                 run_with("tasks.5.samples=2")},
        BadInput{"SetWithoutValue", {"--set ratios"}, run_with("ratios")}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Configuration, RefusedTest,
    testing::Values(
        BadInput{"MissingFile", {"nowhere.yaml", "no such file"}, {"run", "nowhere.yaml"}},
        BadInput{"Folder", {"model", "folder"}, {"run", "model"}},
        BadInput{"Syntax", {"broken.yaml:3: "}, {"run", "broken.yaml"}},
        BadInput{"UnknownKey",
                 {"sweep.yaml:8: ", "unknown key \"ratois\"", "did you mean ratios?"},
                 kRun,
                 "ratios:",
                 "ratois:"},
        BadInput{"UnknownTaskKey",
                 {"sweep.yaml:6: ", "unknown key \"sample\"", "did you mean samples?"},
                 kRun,
                 "samples:",
                 "sample:"},
        BadInput{"RatioOne", {"sweep.yaml:8: ", "0 <= ratio < 1", "got 1.0"}, kRun, "0.5", "1.0"},
        BadInput{
            "RatioNegative", {"sweep.yaml:8: ", "0 <= ratio < 1", "got -0.1"}, kRun, "0.5", "-0.1"},
        BadInput{"RatioText", {"sweep.yaml:8: ", "expected a number", "half"}, kRun, "0.5", "half"},
        BadInput{"UnknownPolicy",
                 {"sweep.yaml:7: ", "unknown policy \"snapkw\"", "did you mean snapkv"},
                 kRun,
                 "snapkv]",
                 "snapkw]"},
        BadInput{"UnknownScorer",
                 {"sweep.yaml:7: ", "unknown scorer \"keydif\"", "did you mean keydiff?"},
                 kRun,
                 kPolicies,
                 "[{name: mine, scorer: keydif, allocator: uniform}]"},
        BadInput{"UnknownAllocator",
                 {"sweep.yaml:7: ", "unknown allocator \"unifrom\"", "did you mean uniform?"},
                 kRun,
                 kPolicies,
                 "[{name: mine, scorer: keydiff, allocator: unifrom}]"},
        BadInput{"UnknownParameter",
                 {"sweep.yaml:7: ", "\"windwo\"", "did you mean window?"},
                 kRun,
                 kPolicies,
                 "[{scorer: {name: snapkv, windwo: 8}, allocator: uniform}]"},
        BadInput{"ParameterOfWrongType",
                 {"sweep.yaml:7: ", "window", "expected an integer", "wide"},
                 kRun,
                 kPolicies,
                 "[{scorer: {name: snapkv, window: wide}, allocator: uniform}]"},
        BadInput{"ParameterOutOfRange",
                 {"sweep.yaml:7: ", "window", "0"},
                 kRun,
                 kPolicies,
                 "[{scorer: {name: snapkv, window: 0}, allocator: uniform}]"},
        BadInput{"UnknownTask",
                 {"sweep.yaml:6: ", "unknown task", "did you mean ruler/niah_single_1"},
                 kRun,
                 "niah_single_1",
                 "niah_singel_1"},
        BadInput{"UnknownModel",
                 {"sweep.yaml:2: ", "unknown model", "did you mean smollm2-135m-instruct"},
                 kRun,
                 "{path: model}",
                 "smolm2-135m-instruct"},
        BadInput{"UnknownDtype",
                 {"sweep.yaml:2: ", "unknown dtype \"float8\"", "float16"},
                 kRun,
                 "path: model",
                 "path: model, dtype: float8"},
        BadInput{"CudaWithoutDevice", {"device cuda", "no CUDA device"}, run_with("device=cuda")},
        BadInput{"UnknownDevice", {"sweep.yaml:3: ", "\"tpu\"", "cuda"}, kRun, "cpu", "tpu"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Data, RefusedTest,
    testing::Values(
        BadInput{"MissingFile",
                 {"sweep.yaml:6: ", "no such file: /", "/nowhere.jsonl"},
                 kRun,
                 kGenerated,
                 "file: nowhere.jsonl"},
        BadInput{"MalformedLine",
                 {"bad_line.jsonl:2: ", "not valid JSON: malformed at byte"},
                 kRun,
                 kGenerated,
                 "file: bad_line.jsonl"},
        BadInput{"MissingField",
                 {"no_outputs.jsonl:2: ", "\"outputs\" is missing"},
                 kRun,
                 kGenerated,
                 "file: no_outputs.jsonl"},
        BadInput{"TooFewSamples",
                 {"two.jsonl", "3 samples were asked for, the file has 2"},
                 kRun,
                 kGenerated,
                 "file: two.jsonl, samples: 3"},
        BadInput{"LengthTooSmall",
                 {"ruler/niah_single_1", "length 64 is too small"},
                 run_with("tasks.0.lengths=[64]")},
        BadInput{"LongerThanPositions",
                 {"ruler/niah_single_1", "model's 2048 positions"},
                 run_with("tasks.0.lengths=[16384]")},
        BadInput{"TokensOutsideVocabulary", {"vocabulary of 96"}, run_with("model.path=whole")},
        BadInput{"GenerateUnknownTask",
                 {"unknown task", "did you mean ruler/niah_single_1"},
                 generate_task("niah_singel_1", "1024", "t.jsonl")},
        BadInput{"GenerateTooShort",
                 {"length 64 is too small"},
                 generate_task("niah_single_1", "64", "t.jsonl")},
        BadInput{"GenerateNoSamples",
                 {"samples: expected at least 1, got 0"},
                 {"generate-task", "ruler", "vt", "--length", "1024", "--samples", "0", "--model",
                  "model", "--output", "t.jsonl"}},
        BadInput{"GradeMissingFile", {"nowhere.json"}, {"grade", "nowhere.json"}},
        BadInput{"GradeMalformed", {"broken.json", "not valid JSON"}, {"grade", "broken.json"}},
        BadInput{"GradeWithoutReferences",
                 {"second_bad.json: case 2", "refs"},
                 {"grade", "second_bad.json"}},
        BadInput{"GradeUnknownSet",
                 {"unknown_set.json: data set 1: dataset: unknown set", "did you mean qasper"},
                 {"grade", "unknown_set.json"}},
        BadInput{"GradeUnknownParameter",
                 {"unknown_parameter.json: case 1", "did you mean backend"},
                 {"grade", "unknown_parameter.json"}},
        BadInput{"GradeUnknownMetric",
                 {"unknown_metric.json: case 1", "did you mean string_match_all"},
                 {"grade", "unknown_metric.json"}}),
    case_name);

}  // namespace
}  // namespace kvbench::test_process
