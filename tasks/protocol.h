// Everything beside a sample's own texts that decides its score: how its pieces become a prompt,
// when an answer ends, and how it is graded. One for all samples of a source.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/base/params.h"

namespace kvbench {

// How context, question and answer prefix become one text. HEAD and TAIL stand for what the chat
// template writes before and behind a user turn.
struct PromptRule {
  enum class Frame {
    kChat,   // HEAD context question TAIL, by the chat template where the sweep uses one
    kPlain,  // never a chat template: HEAD is the BOS text of a tokenizer that adds one
    kBare,   // nothing around it, not even BOS
  };
  Frame frame = Frame::kChat;
  // The answer prefix ends the user turn (question, prefix, TAIL); else the model's own turn begins
  // with it (question, TAIL, prefix).
  bool prefix_in_turn = false;
  std::string plain_tail = "\n";  // TAIL where no chat template is used
  // The prompt is tokenised as one text and cut between two of its tokens; else context and
  // question apart (ruler.md 7).
  bool as_one_text = false;
  bool second_bos = false;  // BOS before a template that writes its own, as LongBench's pred.py

  enum class Cut {
    kNever,   // a prompt that is too long is an error
    kMiddle,  // of the text in the turn both halves of the limit stay (LongBench pred.py)
    kEnd,     // of HEAD and context the first tokens stay (kvpress)
  };
  Cut cut = Cut::kNever;
  int64_t max_length = 0;  // tokens of what is cut; 0 = what the model has room for

  bool operator==(const PromptRule&) const = default;
};

// When an answer ends, beside its most tokens.
struct StopRule {
  enum class Ends {
    kModel,         // generation_config.json's or config.json's, else the tokenizer's EOS
    kEosOrNewline,  // the tokenizer's EOS, and the last token of "\n" (LongBench pred.py, samsum)
    kNever,         // it has as many tokens as it may have
  };
  Ends ends = Ends::kModel;
  // What is done with an end token before anything else was said.
  enum class First {
    kEnds,      // it ends the answer
    kIgnored,   // it is said and does not end it: kvpress does not test the first token
    kExcluded,  // it is never chosen: at least one other token is said (transformers'
                // min_new_tokens)
  };
  First first = First::kEnds;

  bool operator==(const StopRule&) const = default;
};

// How the next token of an answer is chosen.
struct Sampling {
  double temperature = 0;  // 0 = the most likely one; else drawn from softmax(logits / temperature)
  double top_p = 1;        // of the fewest likely tokens whose probabilities reach this sum

  bool operator==(const Sampling&) const = default;
};

// How a prediction is graded.
struct Grading {
  std::string metric;  // a name of metric_names()
  std::vector<Params::Given> parameters = {};
  // What the prediction loses first: white space at its start (kvpress's scorer), then newlines at
  // its start and everything from the next one on (LongBench eval.py: trec, triviaqa, samsum,
  // lsht).
  bool strip_start = false;
  bool first_line = false;
  bool exact_too = false;  // a strict exact match is reported beside the score
};

struct Protocol {
  std::string name = "official";
  PromptRule prompt;
  StopRule stop;
  Grading grading;
};

// The rules in words, equal only where they give equal prompts, ends and scores: what ids of
// results are made of.
std::string describe(const PromptRule& rule);
std::string describe(const StopRule& rule);
std::string describe(const Sampling& sampling);  // "" = greedy
std::string describe(const Grading& grading);

}  // namespace kvbench
