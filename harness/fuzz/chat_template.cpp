// Chat templates, in a file of their own and in tokenizer_config.json. Every one that differs
// starts a Python, so runs of a fixed number of inputs take fewer than elsewhere.
#include "harness/text/chat_template.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/paths.h"
#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"

namespace kvbench::fuzz {
namespace {

const char* const kChatMl =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const char* const kLlama3 =
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

// What is rendered is kept below the folder and goes with it.
void keep_cache_in(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder / "deps");
  std::filesystem::create_directory_symlink(deps_dir() / "venv", folder / "deps/venv");
  ::setenv("KVBENCH_DEPS", (folder / "deps").c_str(), 1);
}

// Mostly text, so that many a damaged one still renders.
const char* const kPlain =
    "{{ bos_token }}A chat between a curious user and an artificial intelligence assistant. The "
    "assistant gives helpful, detailed, and polite answers to the user's questions.\n\n### User:\n"
    "{{ messages[0]['content'] }}\n\n### Assistant:\n";

void read_template(const std::filesystem::path& folder) {
  load_chat_template(folder);
  bos_text(folder);
}

std::vector<std::string> configs(const std::filesystem::path& folder) {
  keep_cache_in(folder);
  std::filesystem::copy_file(in_project("harness/text/testdata/spm_legacy.json"),
                             folder / "tokenizer.json");
  std::vector<std::string> files;
  for (const char* source : {kChatMl, kLlama3}) {
    files.push_back(nlohmann::json({{"add_bos_token", true},
                                    {"bos_token", {{"content", "<s>"}, {"special", true}}},
                                    {"eos_token", "</s>"},
                                    {"chat_template", source}})
                        .dump(2));
  }
  return files;
}

std::vector<std::string> templates(const std::filesystem::path& folder) {
  keep_cache_in(folder);
  std::ofstream(folder / "tokenizer_config.json") << R"({"bos_token": "<s>"})";
  std::filesystem::copy_file(in_project("harness/text/testdata/spm_legacy.json"),
                             folder / "tokenizer.json");
  return {kPlain, kChatMl, kLlama3};
}

}  // namespace

std::vector<Target> chat_template_targets() {
  return {{"tokenizer_config", "tokenizer_config.json", {.text = true}, configs, read_template},
          {"chat_template", "chat_template.jinja", {.text = true}, templates, read_template}};
}

}  // namespace kvbench::fuzz
