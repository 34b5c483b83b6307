// Wrong models, token ids and outputs; the test itself stands in bad_input_test.cpp.
#include "harness/cli/test_refused.h"

namespace kvbench::test_process {
namespace {

const Words kRun = {"run", "sweep.yaml"};

INSTANTIATE_TEST_SUITE_P(
    Model, RefusedTest,
    testing::Values(
        BadInput{"MissingFolder",
                 {"nowhere/config.json", "does not exist"},
                 run_with("model.path=nowhere")},
        BadInput{
            "EmptyFolder", {"empty/config.json", "does not exist"}, run_with("model.path=empty")},
        BadInput{
            "NoTokenizer", {"no_tokenizer/tokenizer.json"}, run_with("model.path=no_tokenizer")},
        BadInput{
            "NoWeights", {"model/model.safetensors", "does not exist", "found no weights"}, kRun},
        BadInput{
            "NoWeightsForDryRun", {"model/model.safetensors"}, {"run", "sweep.yaml", "--dry-run"}},
        BadInput{"CheckMissingFolder", {"no folder /", "/nowhere,"}, {"model", "check", "nowhere"}},
        BadInput{"CheckNoWeights", {"model/model.safetensors"}, {"model", "check", "model"}},
        BadInput{"FetchUnknown",
                 {"unknown model", "did you mean smollm2-135m-instruct"},
                 {"model", "fetch", "smollm-135m-instruct"}},
        BadInput{"FetchNoName",
                 {"expected a name ORG/NAME", "got \"../model\""},
                 {"model", "fetch", "../model"}},
        BadInput{"FetchNoRevision",
                 {"revision: expected a commit", "got \"../main\""},
                 {"model", "fetch", "org/model", "--revision", "../main"}},
        BadInput{"FetchRevisionOfOurs",
                 {"--revision: model smollm2-135m-instruct is not of the hub"},
                 {"model", "fetch", "smollm2-135m-instruct", "--revision", "main"}},
        BadInput{"NotInTheHubCache",
                 {"model no-org/no-model: it is not in the hub cache",
                  "./kvbench model fetch no-org/no-model gets it"},
                 {"run", "sweep.yaml"},
                 "model: {path: model}",
                 "model: no-org/no-model"},
        BadInput{"InspectMissingFolder",
                 {"no folder /", "/smolm2-135m-instruct,", "did you mean smollm2-135m-instruct"},
                 inspect({"--model", "smolm2-135m-instruct"})},
        BadInput{"InspectNoWeights", {"model/model.safetensors"}, inspect({"--model", "model"})},
        BadInput{"CutData", {"cut/model.safetensors", "truncated"}, inspect({"--model", "cut"})},
        BadInput{"CutHeader",
                 {"cut_header/model.safetensors", "truncated"},
                 inspect({"--model", "cut_header"})},
        BadInput{"GarbageLength",
                 {"garbage_length/model.safetensors", "header claims"},
                 inspect({"--model", "garbage_length"})},
        BadInput{"GarbageHeader",
                 {"garbage_header/model.safetensors", "header: not valid JSON"},
                 inspect({"--model", "garbage_header"})},
        BadInput{"OtherShape",
                 {"other_shape/model.safetensors", "expected shape [96, 64]"},
                 inspect({"--model", "other_shape"})},
        BadInput{"LfsPointer",
                 {"pointer/model.safetensors", "a Git LFS pointer"},
                 inspect({"--model", "pointer"})},
        BadInput{"MissingShard",
                 {"one_shard/model-00002-of-00002.safetensors", "cannot be read"},
                 inspect({"--model", "one_shard"})},
        BadInput{"WeightsInAnotherForm",
                 {"pickled/model.safetensors", "found pytorch_model.bin: only safetensors"},
                 inspect({"--model", "pickled"})},
        BadInput{"Adapter",
                 {"adapter/config.json", "found adapter_model.safetensors: an adapter"},
                 inspect({"--model", "adapter"})},
        BadInput{"RopeSaidTwice",
                 {"two_thetas/config.json: rope_theta is 500000, rope_parameters.rope_theta is 10"},
                 inspect({"--model", "two_thetas"})},
        BadInput{"HeadSizeZero",
                 {"zero_heads/config.json: head size 0: expected an even number"},
                 inspect({"--model", "zero_heads"})},
        BadInput{"NumberBeyondDoubles",
                 {"huge_number/config.json", "a number is too large: '1e999'"},
                 inspect({"--model", "huge_number"})},
        BadInput{"IntegerWeights",
                 {"int8/model.safetensors: tensor model.norm.weight", "got I8", "quantised"},
                 inspect({"--model", "int8"})}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Inspect, RefusedTest,
    testing::Values(
        BadInput{"NeitherTextNorTokens", {"one of --text and --tokens"}, inspect({"--tokens", ""})},
        BadInput{"TextWithoutTokenizer",
                 {"no_tokenizer/tokenizer.json"},
                 inspect({"--tokens", "", "--text", "file"})},
        BadInput{"MissingTokens", {"nowhere.ids"}, inspect({"--tokens", "nowhere.ids"})},
        BadInput{
            "BadLine", {"word.ids:3: ", "one token id", "abc"}, inspect({"--tokens", "word.ids"})},
        BadInput{"HugeId", {"huge.ids:2: "}, inspect({"--tokens", "huge.ids"})},
        BadInput{"NoIds", {"blank.ids", "no token ids"}, inspect({"--tokens", "blank.ids"})},
        BadInput{"IdOutsideVocabulary",
                 {"96", "vocabulary of 96"},
                 inspect({"--tokens", "outside.ids"})},
        BadInput{"NegativeId", {"-3", "vocabulary of 96"}, inspect({"--tokens", "negative.ids"})},
        BadInput{
            "TooManyIds", {"3000 tokens", "2048 positions"}, inspect({"--tokens", "long.ids"})},
        BadInput{"BeyondTheSlidingWindow",
                 {"10 tokens", "sliding window of 7 tokens"},
                 {"inspect", "--model", "windowed", "--tokens", "ten.ids", "--policy", "keydiff",
                  "--ratio", "0.5", "--output", "out.h5"}},
        BadInput{"TooManyToGenerate",
                 {"2048 positions"},
                 inspect({"--tokens", "nearly_long.ids", "--generate", "20"})},
        BadInput{"BadQuestion",
                 {"word.ids:3: "},
                 inspect({"--question", "word.ids", "--generate", "2"})},
        BadInput{"QuestionOutsideVocabulary",
                 {"vocabulary of 96"},
                 inspect({"--question", "outside.ids", "--generate", "2"})},
        BadInput{"RatioOne", {"--ratio", "[0, 1)", "got 1"}, inspect({"--ratio", "1.0"})},
        BadInput{"RatioNegative", {"--ratio", "got -0.1"}, inspect({"--ratio", "-0.1"})},
        BadInput{"RatioText", {"--ratio", "half"}, inspect({"--ratio", "half"})},
        BadInput{"RatioNan", {"--ratio", "nan"}, inspect({"--ratio", "nan"})},
        BadInput{"GenerateNegative", {"--generate", "-1"}, inspect({"--generate", "-1"})},
        BadInput{"UnknownDtype", {"float8", "float16"}, inspect({"--dtype", "float8"})},
        BadInput{"UnknownDevice", {"--device", "tpu"}, inspect({"--device", "tpu"})},
        BadInput{
            "CudaWithoutDevice", {"device cuda", "no CUDA device"}, inspect({"--device", "cuda"})},
        BadInput{"UnknownPolicy",
                 {"unknown policy \"knor\"", "did you mean knorm?"},
                 inspect({"--policy", "knor"})},
        BadInput{"UnknownScorer",
                 {"unknown scorer \"snapkw\"", "did you mean snapkv?"},
                 inspect({"--policy", "{scorer: snapkw, allocator: uniform}"})},
        BadInput{
            "WindowTooLong",
            {"snapkv", "40 tokens", "expected 65 or more"},
            inspect({"--policy", "{scorer: {name: snapkv, window: 64}, allocator: uniform}"})}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Output, RefusedTest,
    testing::Values(
        BadInput{"ParentIsAFile", {"file/out.h5", "folder"}, run_with("output=file/out.h5")},
        BadInput{"IsAFolder", {"model", "is a folder"}, run_with("output=model")},
        BadInput{
            "IsAnotherFile", {"sweep.yaml", "not an HDF5 file"}, run_with("output=sweep.yaml")},
        BadInput{
            "CannotBeWritten", {"/proc/out.h5"}, {"run", "sweep.yaml", "--output", "/proc/out.h5"}},
        BadInput{"InspectParentIsAFile", {"file/out.h5"}, inspect({"--output", "file/out.h5"})},
        BadInput{"InspectIsAFolder", {"model", "is a folder"}, inspect({"--output", "model"})},
        BadInput{"TasksParentIsAFile",
                 {"file/t.jsonl", "folder"},
                 generate_task("niah_single_1", "1024", "file/t.jsonl")},
        BadInput{"TasksIsAFolder",
                 {"whole", "folder"},
                 generate_task("niah_single_1", "1024", "whole")}),
    case_name);

}  // namespace
}  // namespace kvbench::test_process
