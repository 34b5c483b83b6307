#include "harness/config/chat_template_use.h"

namespace kvbench {

ChatTemplateUse read_chat_template_use(const YamlMap& map) {
  const std::string text = map.choice("chat_template", "true", {"true", "false", "auto"});
  if (text == "auto") return ChatTemplateUse::kAuto;
  return text == "true" ? ChatTemplateUse::kYes : ChatTemplateUse::kNo;
}

std::string chat_template_use_name(ChatTemplateUse use) {
  if (use == ChatTemplateUse::kAuto) return "auto";
  return use == ChatTemplateUse::kYes ? "true" : "false";
}

}  // namespace kvbench
