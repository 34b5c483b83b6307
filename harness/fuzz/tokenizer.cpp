// tokenizer.json: read, then used on some text.
#include "harness/text/tokenizer.h"

#include <algorithm>
#include <numeric>

#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"

namespace kvbench::fuzz {
namespace {

void use_tokenizer(const std::filesystem::path& folder) {
  const Tokenizer tokenizer = Tokenizer::load(folder / "tokenizer.json");
  const std::vector<std::string> texts = {
      "", "The grass is green.\n\n  def f(x):\treturn x ** 2 # 12345",
      "<|im_start|>user\nCafe\xcc\x81 na\xc3\xafve \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82</s>",
      "\xff\xfe broken \xe4\xbd", std::string(300, 'a') + std::string(300, ' ')};
  for (const std::string& text : texts) {
    tokenizer.decode(tokenizer.encode(text), /*skip_special_tokens=*/false);
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
  return {{"tokenizer", "tokenizer.json", {.text = true}, prepare, use_tokenizer}};
}

}  // namespace kvbench::fuzz
