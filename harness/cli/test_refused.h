// For the tests of this folder: a table of wrong requests, and the folder that they run in.
#pragma once

#include <ostream>

#include "harness/cli/test_process.h"
#include "harness/results/test_run.h"

namespace kvbench::test_process {

using Words = std::vector<std::string>;

inline constexpr const char* kSweep = R"(name: tiny
model: {path: model}
device: cpu
chat_template: false
tasks:
  - {task: ruler/niah_single_1, lengths: [1024], samples: 1, max_new_tokens: 4}
policies: [full, keydiff, snapkv]
ratios: [0.5]
output: out.h5
)";

struct BadInput {
  std::string name;
  Words expected;           // parts of the message
  Words arguments;          // of kvbench
  std::string before = "";  // this part of the sweep ...
  std::string after = "";   // ... is replaced by this one
};

// How googletest names a failed case.
inline void PrintTo(const BadInput& bad, std::ostream* out) { *out << bad.name; }

// Runs in a folder of its own with models that are broken in different ways.
class RefusedTest : public testing::TestWithParam<BadInput> {
 protected:
  void SetUp() override {
    for (const char* name :
         {"model", "whole", "no_tokenizer", "cut", "cut_header", "garbage_length", "garbage_header",
          "other_shape", "pointer", "two_thetas", "zero_heads", "huge_number", "int8", "pickled",
          "one_shard"}) {
      std::filesystem::create_directory(folder / name);
      std::filesystem::copy(tiny_model() / "config.json", folder / name);
    }
    std::filesystem::create_directory(folder / "empty");
    std::filesystem::copy(tiny_tokenizer(), folder / "model/tokenizer.json");
    std::filesystem::copy(tiny_tokenizer(), folder / "whole/tokenizer.json");
    const std::string weights = read_bytes(tiny_model() / "model.safetensors");
    write_bytes(folder / "whole/model.safetensors", weights);
    write_bytes(folder / "no_tokenizer/model.safetensors", weights);
    write_bytes(folder / "other_shape/model.safetensors", weights);
    write_bytes(folder / "cut/model.safetensors", weights.substr(0, weights.size() - 100));
    write_bytes(folder / "cut_header/model.safetensors", weights.substr(0, 100));
    write_bytes(folder / "garbage_length/model.safetensors", "\xff\xff\xff" + weights.substr(3));
    std::string garbage = weights;
    garbage.replace(8, 4, "%%%%");
    write_bytes(folder / "garbage_header/model.safetensors", garbage);
    break_models(weights);
    edit("other_shape/config.json", "\"hidden_size\": 32", "\"hidden_size\": 64");

    // Large enough for the tokenizer, unlike the others.
    edit("model/config.json", "\"vocab_size\": 96", "\"vocab_size\": 4096");

    write_bytes(folder / "sweep.yaml", kSweep);
    write_bytes(folder / "broken.yaml", "name: tiny\nratios: [0.5\noutput: x.h5\n");
    write_bytes(folder / "good.ids", id_lines(0, 40));
    write_bytes(folder / "long.ids", id_lines(0, 3000));
    write_bytes(folder / "nearly_long.ids", id_lines(0, 2040));
    write_bytes(folder / "ten.ids", id_lines(0, 10));
    std::filesystem::copy(tiny_model().parent_path() / "mistral_window", folder / "windowed");
    write_bytes(folder / "word.ids", "1\n\nabc\n");
    write_bytes(folder / "huge.ids", "1\n99999999999\n");
    write_bytes(folder / "outside.ids", "1\n2\n96\n");
    write_bytes(folder / "negative.ids", "1\n-3\n");
    write_bytes(folder / "blank.ids", "\n\n");
    write_bytes(folder / "file", "a text\n");
    const std::string line = R"({"index": 0, "input": "a text\nWhat is the special magic )"
                             R"(number? The special magic number is", "outputs": ["x"]})";
    write_bytes(folder / "bad_line.jsonl", line + "\n{\"index\": 1, \"input\n");
    write_bytes(folder / "no_outputs.jsonl", line + "\n{\"index\": 1, \"input\": \"a\"}\n");
    write_bytes(folder / "two.jsonl", line + "\n" + line + "\n");
    write_bytes(folder / "broken.json", "{\"cases\": [\n");
    write_bytes(folder / "second_bad.json",
                R"([{"samples": [{"pred": "a", "refs": ["a"]}]}, {"samples": [{"pred": "a"}]}])");
    write_bytes(folder / "unknown_set.json", R"({"datasets": [{"dataset": "qaspr", "rows": []}]})");
    write_bytes(folder / "unknown_parameter.json",
                R"([{"metric": "code_sim_score", "prediction": "a", "ground_truths": ["a"],
                     "params": {"bakend": "difflib"}}])");
    write_bytes(folder / "unknown_metric.json",
                R"([{"metric": "string_match_al", "prediction": "a", "ground_truths": ["a"]}])");
  }

  // Models as people meet them, each with one thing that cannot be served.
  void break_models(const std::string& weights) {
    write_bytes(folder / "pointer/model.safetensors",
                "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 75448\n");
    const auto config = [&](const std::string& name, const std::string& key) {
      edit(name + "/config.json", "\"hidden_act\"", key + ", \"hidden_act\"");
      write_bytes(folder / name / "model.safetensors", weights);
    };
    config("two_thetas", "\"rope_theta\": 500000.0");
    config("zero_heads", "\"hidden_size\": 2");
    edit("zero_heads/config.json", "\"head_dim\": 8,", "");
    edit("zero_heads/config.json", "\"hidden_size\": 32,", "");
    config("huge_number", "\"attention_dropout_\": 1e999");
    // The same bytes under another type's name: four times as many codes.
    const std::string norm = R"("model.norm.weight":{"dtype":"F32","shape":[32])";
    const std::string codes = R"("model.norm.weight":{"dtype":"I8","shape":[128])";
    std::string quantised = weights;
    KVB_CHECK(quantised.find(norm) != quantised.npos, "no {}", norm);
    quantised.replace(quantised.find(norm), norm.size(), codes);
    write_bytes(folder / "int8/model.safetensors", quantised);
    write_bytes(folder / "pickled/pytorch_model.bin", "PK");
    write_bytes(folder / "one_shard/model-00001-of-00002.safetensors", weights);
    write_bytes(folder / "one_shard/model.safetensors.index.json",
                R"({"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors",
                    "lm_head.weight": "model-00002-of-00002.safetensors"}})");
    std::filesystem::create_directory(folder / "adapter");
    write_bytes(folder / "adapter/adapter_config.json", "{}");
    write_bytes(folder / "adapter/adapter_model.safetensors", "");
  }

  void edit(const std::string& file, const std::string& before, const std::string& after) {
    std::string text = read_bytes(folder / file);
    ASSERT_NE(text.find(before), std::string::npos) << before;
    write_bytes(folder / file, text.replace(text.find(before), before.size(), after));
  }

  test_run::Folder folder;
};

inline std::string case_name(const testing::TestParamInfo<BadInput>& info) {
  return info.param.name;
}

inline Words run_with(const std::string& setting) {
  return {"run", "sweep.yaml", "--set", setting};
}

// An inspect request that is right but for `more`; of an option given twice the last counts.
inline Words inspect(const Words& more) {
  std::vector<std::pair<std::string, std::string>> options = {{"--model", "no_tokenizer"},
                                                              {"--tokens", "good.ids"},
                                                              {"--policy", "keydiff"},
                                                              {"--ratio", "0.5"},
                                                              {"--output", "out.h5"}};
  for (size_t i = 0; i + 1 < more.size(); i += 2) {
    std::erase_if(options, [&](const auto& option) { return option.first == more[i]; });
    options.emplace_back(more[i], more[i + 1]);
  }
  Words words = {"inspect"};
  for (const auto& [key, value] : options) words.insert(words.end(), {key, value});
  return words;
}

inline Words generate_task(const std::string& task, const std::string& length,
                           const std::string& output) {
  return {"generate-task", "ruler", task,       "--length", length, "--samples", "2",
          "--model",       "model", "--output", output};
}

}  // namespace kvbench::test_process
