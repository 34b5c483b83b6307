// Chat templates of the supported families, split for question-agnostic compression: what stands
// before the user's text and what stands after it (end of the user turn and assistant header).
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

struct ChatTemplate {
  std::string family;  // chatml, llama3, llama2, mistral, ...
  std::string
      prefix;  // rendered before the user's text, BOS text included where the template has it
  std::string suffix;  // rendered after it, generation prompt included
};

// The format of a model folder, recognised from its chat template (chat_template.jinja or
// tokenizer_config.json). Throws InputError naming the folder when there is none or it is none of
// the supported families.
ChatTemplate load_chat_template(const std::filesystem::path& model_dir);

// BOS text of the folder's tokenizer_config.json when its tokenizer adds one, else "": what a
// prompt without chat template starts with.
std::string bos_text(const std::filesystem::path& model_dir);

}  // namespace kvbench
