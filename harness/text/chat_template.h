// The chat template of a model folder, split for question-agnostic compression: what it writes
// before the user's text and what after it (end of the user turn and assistant header).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace kvbench {

struct ChatTemplate {
  std::string file;    // where the template stands, within the folder
  std::string prefix;  // before the user's text: BOS and default system text, where it writes them
  std::string suffix;  // after it, generation prompt included
  bool fixed_date = false;  // it asked for today's date and got the one below
  // It takes away white space at these ends of the user's text (Llama 2 and 3: at both).
  bool trims_start = false, trims_end = false;
};

// Today, for templates that ask: runs of different days compare. Those of Llama 3.1 and 3.2 hold
// the same date for readers that have no clock.
inline constexpr const char* kTemplateDate = "26 Jul 2024";

// What transformers renders around one user turn with add_generation_prompt=True, in the settings
// of kvpress (pipeline.py): enable_thinking=False, which gives Qwen3 an empty <think> block.
// nullopt: the folder has no template. It is the first of chat_template.jinja with
// additional_chat_templates/*.jinja, tokenizer_config.json, and chat_template.json (a processor's);
// of several with names, `default`.
//
// Jinja2 renders it in the private Python (toolchain/chat_template.py), once: what it writes is
// kept below <deps>/cache/chat_templates, by a hash of template, named tokens, script and version.
// A deliberate limit: strftime_now gives kTemplateDate, whatever the day.
// Throws InputError naming the file, with Jinja's own words: for a template that does not render
// within the script's limits, that changes, repeats or leaves out the user's text, or whose frame
// depends on it; and when Jinja2 is not installed yet.
std::optional<ChatTemplate> load_chat_template(const std::filesystem::path& model_dir);

// BOS text that the folder's tokenizer adds before a text, else "": what a prompt without chat
// template starts with. add_bos_token of tokenizer_config.json decides, and where it is not given
// the post-processor of tokenizer.json. Throws InputError for malformed files.
std::string bos_text(const std::filesystem::path& model_dir);

}  // namespace kvbench
