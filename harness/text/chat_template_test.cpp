#include "harness/text/chat_template.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/text/jinja.h"

namespace kvbench {
namespace {

using nlohmann::json;
using text::canonical_jinja;
using text::kLiteralBegin;
using text::kLiteralEnd;

// A model folder with the given files; empty ones are left out.
std::filesystem::path model_dir(const std::string& chat_template, const json& config,
                                const json& tokenizer = nullptr) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const auto dir = std::filesystem::path(testing::TempDir()) /
                   fmt::format("{}_{}", test->test_suite_name(), test->name());
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  if (!chat_template.empty()) std::ofstream(dir / "chat_template.jinja") << chat_template;
  if (!config.is_null()) std::ofstream(dir / "tokenizer_config.json") << config.dump();
  if (!tokenizer.is_null()) std::ofstream(dir / "tokenizer.json") << tokenizer.dump();
  return dir;
}

const json kBos = {{"bos_token", "<BOS>"}};

void expect_template(const std::string& source, const std::string& family,
                     const std::string& prefix, const std::string& suffix) {
  const ChatTemplate t = load_chat_template(model_dir(source, kBos));
  EXPECT_EQ(t.family, family);
  EXPECT_EQ(t.prefix, prefix);
  EXPECT_EQ(t.suffix, suffix);
}

void expect_refused(const std::string& source) {
  EXPECT_THROW(load_chat_template(model_dir(source, kBos)), InputError) << source;
}

// The expectations below are what Python's jinja2, set up as transformers does, renders for one
// user turn with add_generation_prompt=True, enable_thinking=False and no strftime_now.

const char* const kChatMlLoop =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% endif %}";

TEST(ChatTemplate, SmolLm2) {
  expect_template(kChatMlLoop, "chatml",
                  "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by "
                  "Hugging Face<|im_end|>\n<|im_start|>user\n",
                  "<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, Qwen25HasADefaultSystemText) {
  expect_template(
      "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {{- messages[0]['content'] }}\n"
      "    {{- \"\\n\\n# Tools<|im_end|>\\n\" }}\n{%- else %}\n"
      "    {%- if messages[0]['role'] == 'system' %}\n"
      "        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n"
      "    {%- else %}\n        {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. "
      "You are a helpful assistant.<|im_end|>\\n' }}\n    {%- endif %}\n{%- endif %}\n"
      "{%- for message in messages %}\n    {%- if (message.role == \"user\") %}\n"
      "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' "
      "}}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n"
      "    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n",
      "chatml",
      "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
      "<|im_end|>\n<|im_start|>user\n",
      "<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, Qwen3HasNoSystemTextAndAnswersWithoutThinking) {
  expect_template(
      "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n{%- else %}\n"
      "    {%- if messages[0].role == 'system' %}\n"
      "        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}\n"
      "    {%- endif %}\n{%- endif %}\n{%- for message in messages %}\n"
      "    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
      "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n"
      "    {%- if enable_thinking is defined and enable_thinking is false %}\n"
      "        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}",
      "chatml", "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
}

TEST(ChatTemplate, Llama3) {
  const std::string loop =
      "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
      "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | "
      "trim "
      "+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
      "{{ content }}{% endfor %}";
  const std::string assistant = "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}";
  const std::string prefix = "<BOS><|start_header_id|>user<|end_header_id|>\n\n";
  const std::string suffix = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
  expect_template(loop + "{% if add_generation_prompt %}" + assistant + "{% endif %}", "llama3",
                  prefix, suffix);
  expect_template(loop + assistant, "llama3", prefix, suffix);
}

TEST(ChatTemplate, Llama31And32WriteAFixedDate) {
  const std::string rest =
      "\n{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = messages[0]"
      "['content']|trim %}\n{%- else %}\n    {%- set system_message = \"\" %}\n{%- endif %}\n\n"
      "{#- System message #}\n{{- \"<|start_header_id|>system<|end_header_id|>\\n\\n\" }}\n"
      "{%- if tools is not none %}\n    {{- \"Environment: ipython\\n\" }}\n{%- endif %}\n"
      "{{- \"Cutting Knowledge Date: December 2023\\n\" }}\n"
      "{{- \"Today Date: \" + date_string + \"\\n\\n\" }}\n{%- if tools is not none %}\n"
      "    {{- \"Functions\" }}\n{%- endif %}\n{{- system_message }}\n{{- \"<|eot_id|>\" }}\n"
      "{%- for message in messages %}\n        {{- '<|start_header_id|>' + message['role'] + "
      "'<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}\n{%- endfor %}\n"
      "{%- if add_generation_prompt %}\n"
      "    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}\n{%- endif %}\n";
  const std::string prefix =
      "<BOS><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
      "Today Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n";
  const std::string suffix = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
  expect_template(
      "{{- bos_token }}\n{%- if not date_string is defined %}\n"
      "    {%- set date_string = \"26 Jul 2024\" %}\n{%- endif %}" +
          rest,
      "llama3", prefix, suffix);
  expect_template(
      "{{- bos_token }}\n{%- if not date_string is defined %}\n"
      "    {%- if strftime_now is defined %}\n"
      "        {%- set date_string = strftime_now(\"%d %b %Y\") %}\n    {%- else %}\n"
      "        {%- set date_string = \"26 Jul 2024\" %}\n    {%- endif %}\n"
      "{%- endif %}" +
          rest,
      "llama3", prefix, suffix);
}

TEST(ChatTemplate, Llama2) {
  expect_template(
      "{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}"
      "{% else %}{% set system_message = false %}{% endif %}{% for message in messages %}"
      "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + "
      "system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = "
      "message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' "
      "+ "
      "content.strip() + ' [/INST]' }}{% endif %}{% endfor %}",
      "llama2", "<BOS>[INST] ", " [/INST]");
}

TEST(ChatTemplate, MistralsDifferInBlanks) {
  const std::string v1 =
      "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' "
      "+ "
      "message['content'] + ' [/INST]' }}{% else %}{{ message['content'] + eos_token}}{% endif %}"
      "{% endfor %}";
  expect_template(v1, "mistral", "<BOS>[INST] ", " [/INST]");
  const std::string with_system =
      "{%- if messages[0][\"role\"] == \"system\" %}\n    {%- set system_message = messages[0]"
      "[\"content\"] %}\n{%- endif %}\n\n{{- bos_token }}\n{%- for message in messages %}\n"
      "        {%- if loop.last and system_message is defined %}\n            {{- \"<A>\" + "
      "system_message + \"\\n\\n\" + message[\"content\"] + \"<B>\" }}\n        {%- else %}\n"
      "            {{- \"<A>\" + message[\"content\"] + \"<B>\" }}\n        {%- endif %}\n"
      "{%- endfor %}\n";
  const auto with = [&](const std::string& a, const std::string& b) {
    std::string source = with_system;
    for (const auto& [mark, text] : {std::pair("<A>", a), std::pair("<B>", b)}) {
      for (size_t at; (at = source.find(mark)) != std::string::npos;) source.replace(at, 3, text);
    }
    return source;
  };
  expect_template(with(" [INST] ", " [/INST]"), "mistral", "<BOS> [INST] ", " [/INST]");
  expect_template(with("[INST] ", "[/INST]"), "mistral", "<BOS>[INST] ", "[/INST]");  // v0.3
  expect_template(with("[INST]", "[/INST]"), "mistral", "<BOS>[INST]", "[/INST]");    // Nemo
}

TEST(ChatTemplate, OthersAreRefused) {
  expect_refused("{{ messages }}");
  expect_refused("<|user|>\n{{ messages[0]['content'] }}<|end|>");
  expect_refused("{% if");
  expect_refused("{{ 'x");
  expect_refused("{# open");
  const std::string chatml = kChatMlLoop;
  // One change each that would make the recognised prefix or suffix wrong.
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string source = chatml;
    source.replace(source.find(from), from.size(), to);
    return source;
  };
  expect_refused("Hi. " + chatml);
  expect_refused(chatml + "{{ bos_token }}");
  expect_refused(changed("message['content']", "message['content'].strip()"));
  expect_refused(changed("loop.first and messages[0]['role'] != 'system'", "tools"));
  expect_refused(changed("{{ '<|im_start|>assistant\n' }}", "{{ prompt }}"));
  expect_refused(changed("Hugging Face<|im_end|>\n'", "Hugging Face' + now + '<|im_end|>\n'"));
}

TEST(ChatTemplate, SourcesAndMissingTemplates) {
  json config = kBos;
  config["chat_template"] = kChatMlLoop;
  EXPECT_EQ(load_chat_template(model_dir("", config)).family, "chatml");
  config["chat_template"] = {{{"name", "rag"}, {"template", "x"}},
                             {{"name", "default"}, {"template", kChatMlLoop}}};
  EXPECT_EQ(load_chat_template(model_dir("", config)).family, "chatml");
  config["chat_template"] = {{{"name", "rag"}, {"template", "x"}}};
  EXPECT_THROW(load_chat_template(model_dir("", config)), InputError);
  config["chat_template"] = 7;
  EXPECT_THROW(load_chat_template(model_dir("", config)), InputError);
  const auto dir = model_dir("", kBos);
  try {
    load_chat_template(dir);
    FAIL() << "a folder without template passed";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find(dir.string()), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("chat_template: false"), std::string::npos);
  }
}

TEST(BosText, WhatTheTokenizerAdds) {
  EXPECT_EQ(bos_text(model_dir("", nullptr)), "");
  EXPECT_EQ(bos_text(model_dir("", kBos)), "");
  EXPECT_EQ(bos_text(model_dir("", {{"bos_token", "<s>"}, {"add_bos_token", true}})), "<s>");
  EXPECT_EQ(bos_text(model_dir("", {{"bos_token", {{"content", "<s>"}}}, {"add_bos_token", true}})),
            "<s>");
  EXPECT_EQ(bos_text(model_dir("", {{"bos_token", "<s>"}, {"add_bos_token", false}})), "");
  EXPECT_THROW(bos_text(model_dir("", {{"bos_token", nullptr}, {"add_bos_token", true}})),
               InputError);
  // Llama 3 says it in the post-processor.
  const json single = {{{"SpecialToken", {{"id", "<|begin_of_text|>"}, {"type_id", 0}}}},
                       {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}};
  const json processor = {{"type", "TemplateProcessing"}, {"single", single}};
  const json byte_level = {{"type", "ByteLevel"}};
  const json sequence = {{"type", "Sequence"}, {"processors", {byte_level, processor}}};
  EXPECT_EQ(bos_text(model_dir("", kBos, {{"post_processor", sequence}})), "<|begin_of_text|>");
  EXPECT_EQ(bos_text(model_dir("", kBos, {{"post_processor", byte_level}})), "");
}

TEST(Jinja, OneSpelling) {
  const auto canonical = [](std::string_view source) {
    std::string text = canonical_jinja(source);
    for (char& c : text) {
      if (c == kLiteralBegin) c = '<';
      if (c == kLiteralEnd) c = '>';
    }
    return text;
  };
  EXPECT_EQ(canonical("{%- if  a ==\"b\"  -%} {{ x[ 'c' ] | trim }} {%- endif %}\n"),
            "{%if a==<b>%}{{x.c|trim}}{%endif%}");
  EXPECT_EQ(canonical("{{ 'a' + \"\\n\" + 'b' }}{{- 'c' }}{{ d }}"), "{{<a\nbc>+d}}");
  EXPECT_EQ(canonical("  {% set a = {'b': 1} %}\n  {# x #}\n{{ {'y': {'z': 2}} }}"),
            "{%set a={<b>:1}%}{{{<y>:{<z>:2}}}}");
  EXPECT_EQ(canonical("{{ '}}%}' }}"), "{{<}}%}>}}");
  EXPECT_THROW(canonical("{{ a }}\n{{ b }}"), InputError);  // the newline would be written
  EXPECT_THROW(canonical("{% raw %}x{% endraw %}"), InputError);
}

}  // namespace
}  // namespace kvbench
