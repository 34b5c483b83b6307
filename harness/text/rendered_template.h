// A Jinja template rendered by Jinja2 in the private Python, and what it wrote kept for later runs.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kvbench::text {

// What a template writes around the user's text (chat_template.h).
struct Frame {
  std::string prefix, suffix;
  bool fixed_date = false;
  std::string trims;  // "", "start", "end", "both"
};

// `tokens` are names and texts that the template can use; `place` begins every complaint. A frame
// that was rendered before is read from <deps>/cache/chat_templates/<hash>.json; a damaged file
// there is made anew. Throws InputError as load_chat_template does.
Frame render_template(const std::string& source,
                      const std::vector<std::pair<std::string, std::string>>& tokens,
                      const std::string& place);

}  // namespace kvbench::text
