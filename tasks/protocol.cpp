#include "tasks/protocol.h"

#include <fmt/format.h>

#include "harness/base/error.h"
#include "tasks/task.h"

namespace kvbench {

PromptRule as_requested(PromptRule rule, const TaskRequest& request) {
  rule.second_bos = request.second_bos;
  rule.max_length = request.max_length;
  if (request.max_length > 0 && rule.cut == PromptRule::Cut::kNever) {
    rule.cut = PromptRule::Cut::kEnd;
  }
  return rule;
}

std::string describe(const PromptRule& rule) {
  std::string text;
  switch (rule.frame) {
    case PromptRule::Frame::kChat:
      text = "chat template where the sweep uses one";
      break;
    case PromptRule::Frame::kPlain:
      text = "no chat template";
      break;
    case PromptRule::Frame::kBare:
      text = "no chat template, no BOS";
      break;
  }
  text += rule.prefix_in_turn ? ", answer prefix before the end of the user turn"
                              : ", answer prefix behind the user turn";
  if (rule.plain_tail.empty()) text += ", nothing behind the question without a template";
  text += rule.as_one_text ? ", tokenised as one text" : ", context and question tokenised apart";
  if (rule.second_bos) text += ", BOS twice where the template writes one";
  const std::string most =
      rule.max_length > 0 ? fmt::format("{} tokens", rule.max_length) : "the model's room";
  switch (rule.cut) {
    case PromptRule::Cut::kNever:
      break;
    case PromptRule::Cut::kMiddle:
      text += ", middle cut out above " + most;
      break;
    case PromptRule::Cut::kEnd:
      text += ", context's end cut off above " + most;
      break;
  }
  return text;
}

std::string describe(const StopRule& rule) {
  if (rule.ends == StopRule::Ends::kNever) return "never ends before its most tokens";
  std::string text = rule.ends == StopRule::Ends::kModel
                         ? "ends at the model's end tokens"
                         : "ends at the tokenizer's EOS or a newline";
  switch (rule.first) {
    case StopRule::First::kEnds:
      return text + ", also as first token";
    case StopRule::First::kIgnored:
      return text + ", but not at the first token";
    case StopRule::First::kExcluded:
      return text + ", which are never the first token";
  }
  KVB_CHECK(false, "unknown rule for the first token");
  return text;
}

std::string describe(const Sampling& sampling) {
  if (sampling.temperature == 0) return "";
  return fmt::format("temperature {}, top_p {}", sampling.temperature, sampling.top_p);
}

std::string describe(const Grading& grading) {
  std::string text = grading.metric;
  for (const auto& given : grading.parameters) {
    text += fmt::format(" {}={}", given.key, given.text);
  }
  if (grading.strip_start) text += ", white space stripped at the start";
  if (grading.first_line) text += ", first line only";
  return text;
}

}  // namespace kvbench
