// tokenizer.json: read, then used on some text.
#include "harness/text/tokenizer.h"

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"

namespace kvbench::fuzz {
namespace {

void use_tokenizer(const std::filesystem::path& folder) {
  const Tokenizer tokenizer = Tokenizer::load_folder(folder);
  const std::vector<std::string> texts = {
      "", "The grass is green.\n\n  def f(x):\treturn x ** 2 # 12345",
      "<|im_start|>user\nCafe\xcc\x81 na\xc3\xafve \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82</s>",
      "\xff\xfe broken \xe4\xbd", std::string(300, 'a') + std::string(300, ' ')};
  for (const std::string& text : texts) {
    const auto ids = tokenizer.encode(text);
    tokenizer.decode(ids, /*skip_special_tokens=*/false);
    KVB_CHECK(tokenizer.encode(text) == ids, "segments are remembered wrongly");
  }
  tokenizer.token_id("</s>");
  std::vector<int32_t> ids(static_cast<size_t>(std::min<int64_t>(tokenizer.vocab_size(), 1000)));
  std::iota(ids.begin(), ids.end(), 0);
  tokenizer.decode(ids, /*skip_special_tokens=*/true);
}

}  // namespace

std::vector<Target> tokenizer_targets() {
  const auto prepare = [](const std::filesystem::path&) {
    const std::string testdata = "harness/text/testdata/";
    return read_project_files({testdata + "smollm.json", testdata + "llama3.json",
                               testdata + "qwen2.json", testdata + "spm_legacy.json",
                               testdata + "spm_metaspace.json"});
  };
  const auto beside = [](std::vector<std::string> files) {
    return [files](const std::filesystem::path& folder) {
      std::filesystem::copy_file(in_project("harness/text/testdata/smollm.json"),
                                 folder / "tokenizer.json");
      return files;
    };
  };
  return {{"tokenizer", "tokenizer.json", {.text = true}, prepare, use_tokenizer},
          {"declared_tokens",
           "tokenizer_config.json",
           {.text = true},
           beside({R"({"bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": true},
                   "eos_token": "<|im_end|>", "pad_token": null, "add_bos_token": true,
                   "additional_special_tokens": ["<a>", {"content": "<b>", "rstrip": true}]})",
                   R"({"added_tokens_decoder": {"742": {"content": "<s>", "normalized": true},
                   "2": {"content": "<|im_end|>", "special": true, "single_word": true}},
                   "extra_special_tokens": {"image_token": "<i>"}})"}),
           use_tokenizer},
          {"special_tokens_map",
           "special_tokens_map.json",
           {.text = true},
           beside({R"({"bos_token": {"content": "<s>", "lstrip": true, "normalized": false},
                   "eos_token": "</s>", "additional_special_tokens": ["<a>", "<b>"]})"}),
           use_tokenizer},
          {"added_tokens",
           "added_tokens.json",
           {.text = true},
           beside({R"({"<s>": 742, "</s>": 743, "<|im_end|>": 2})"}),
           use_tokenizer}};
}

}  // namespace kvbench::fuzz
