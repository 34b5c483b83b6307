// Chat templates of the supported families, split for question-agnostic compression: what stands
// before the user's text and what stands after it (end of the user turn and assistant header).
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

struct ChatTemplate {
  std::string family;  // chatml, llama3, llama2, mistral
  // Rendered before the user's text, BOS text and default system text included where the template
  // has them.
  std::string prefix;
  std::string suffix;  // rendered after it, generation prompt included
};

// The format of a model folder, recognised from its chat template (chat_template.jinja or
// tokenizer_config.json): what transformers renders around one user turn with
// add_generation_prompt=True, in the settings of kvpress (pipeline.py): enable_thinking=False,
// which gives Qwen3 an empty <think> block. Three deliberate limits:
//   - templates that write today's date (Llama 3.2) get the fixed date that they hold for the case
//     that there is none, so that runs of different days compare
//   - Llama 2 and 3 trim the user's text; the text here is not trimmed
//   - a template that says more than its family does is refused, not approximated
// Throws InputError naming the folder when there is no template or it is none of the families.
ChatTemplate load_chat_template(const std::filesystem::path& model_dir);

// BOS text that the folder's tokenizer adds before a text, else "": what a prompt without chat
// template starts with. add_bos_token of tokenizer_config.json decides, and where it is not given
// the post-processor of tokenizer.json. Throws InputError for malformed files.
std::string bos_text(const std::filesystem::path& model_dir);

}  // namespace kvbench
