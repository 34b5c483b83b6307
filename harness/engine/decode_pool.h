// Answers to many questions at once: sequences of all policies, samples and questions join
// and leave one ragged batch, so that the weights are read once a step for all of them.
//
// On a device other than the CPU a step chooses its tokens there: the host waits only when it looks
// what was said (GenerateOptions::look_every).
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "harness/engine/decode_step.h"
#include "harness/engine/generate.h"
#include "harness/engine/stopwatch.h"

namespace kvbench {

class DecodePool {
 public:
  explicit DecodePool(const Decoder& model) : model_(model) {}
  DecodePool(const DecodePool&) = delete;

  // Runs `question` (may be empty) over the caches as one batch; then each of them says what it has
  // to say in the company of all others, until step() calls `done` with the answers in the order
  // of the caches. They hold the question and the answer then. Throws InputError when the question
  // does not fit the model; every other failure is an answer's error: a pass that throws is tried
  // again in halves, until it does not or a sequence fails alone. The caches must live until
  // `done`.
  using Done = std::function<void(std::vector<Generation>)>;
  void ask(std::vector<GrowingCache> caches, const std::vector<int32_t>& question,
           GenerateOptions options, Done done);

  // Whether anybody waits for `done`.
  bool is_busy() const { return n_running_ > 0 || !finished_.empty(); }
  int64_t n_running() const { return n_running_; }  // sequences

  // A token of every running sequence. `done` of a question may ask the next one.
  void step();

 private:
  struct Asked {
    std::vector<GrowingCache> caches;
    GenerateOptions options;
    Done done;
    Stopwatch watch;  // the host's: it tells when the host knew a token
    std::vector<Generation> answers = {};
    std::vector<bool> is_running = {};
    size_t n_running = 0;
  };
  struct Sequence {
    std::shared_ptr<Asked> asked;
    size_t index;          // of asked->caches
    int64_t n_chosen = 0;  // tokens, those included that the host has not looked at

    const GrowingCache& cache() const { return asked->caches[index]; }
    Generation& answer() const { return asked->answers[index]; }
  };
  // Those that go through the model together: all, but for batches that did not fit into memory.
  struct Part {
    std::vector<Sequence> rows = {};
    at::Tensor ids = {};     // int64 [rows], on the device: the next pass's tokens
    at::Tensor chosen = {};  // int64 [steps, rows], likewise: what was, since the host looked
    int64_t n_unseen = 0;    // the steps of it
    std::unique_ptr<DecodeStep> step = {};  // of these rows
  };

  at::Tensor ask(const Part& part, const std::vector<int32_t>& question,
                 std::vector<std::string>& errors) const;
  void join(Part part);
  void step(size_t part);
  std::vector<std::string> pass(Part& part);
  void take_in(Part& part, const std::vector<std::string>& errors);
  static bool exclude_early_ends(const at::Tensor& logits, const std::vector<Sequence>& rows);
  static void draw(const at::Tensor& logits, const at::Tensor& ids,
                   const std::vector<Sequence>& rows);
  int64_t look_every(const Part& part) const;
  bool must_look(const Part& part) const;
  void look(Part& part);
  void split(size_t part);
  bool say(const Sequence& sequence, int64_t id);
  void end(const Sequence& sequence, const std::string& error);
  void or_end(Part& part, const std::function<void()>& work);
  void keep(Part& part, const std::vector<int64_t>& rows);
  static void leave_shared_buffers(const Part& part);

  const Decoder& model_;
  std::vector<Part> parts_;
  size_t most_rows_ = SIZE_MAX;  // of a part: half of what did not fit
  int64_t n_running_ = 0;
  std::deque<std::shared_ptr<Asked>> finished_;
};

}  // namespace kvbench
