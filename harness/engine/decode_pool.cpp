#include "harness/engine/decode_pool.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/base/error.h"
#include "harness/base/random.h"
#include "harness/engine/next_token.h"
#include "kernels/argmax/argmax_torch.h"
#include "kernels/common/host_torch.h"

namespace kvbench {
namespace {

// Row s without the ids, which cannot be chosen.
void exclude(const at::Tensor& logits, int64_t s, const std::vector<int64_t>& ids) {
  for (const int64_t id : ids) {
    if (id < logits.size(1)) logits.select(0, s).select(0, id).fill_(-INFINITY);
  }
}

}  // namespace

void DecodePool::ask(std::vector<GrowingCache> caches, const std::vector<int32_t>& question,
                     GenerateOptions options, Done done) {
  const c10::InferenceMode no_autograd;
  const size_t n = caches.size();
  const auto asked = std::make_shared<Asked>(
      Asked{std::move(caches), std::move(options), std::move(done), Stopwatch(at::kCPU)});
  asked->answers.resize(n);
  asked->is_running.assign(n, true);
  asked->n_running = n;
  if (n == 0 || asked->options.max_new_tokens <= 0) {
    finished_.push_back(asked);
    return;
  }
  n_running_ += std::ssize(asked->caches);
  // Halves of halves, first to last, until they fit.
  std::vector<std::pair<size_t, size_t>> ranges = {{0, n}};
  while (!ranges.empty()) {
    const auto [first, last] = ranges.back();
    ranges.pop_back();
    Part part;
    for (size_t i = first; i < last; ++i) part.rows.push_back({asked, i});
    at::Tensor logits;
    std::vector<std::string> errors;
    try {
      logits = ask(part, question, errors);
    } catch (const InputError&) {
      n_running_ -= std::ssize(asked->caches);  // the first pass throws it or none does
      throw;
    } catch (...) {
      const size_t middle = first + (last - first) / 2;
      if (middle == first) {
        end(part.rows[0], current_error());
      } else {
        ranges.emplace_back(middle, last);
        ranges.emplace_back(first, middle);
      }
      continue;
    }
    // The caches hold the question now: it must not be asked again.
    std::vector<int64_t> said;
    or_end(part, [&] {
      exclude_early_ends(logits, part.rows);
      part.ids = argmax_lowest(logits);
      draw(logits, part.ids, part.rows);
      said = host_values(part.ids);
    });
    std::vector<int64_t> going_on;
    for (size_t s = 0; s < part.rows.size(); ++s) {
      part.rows[s].n_chosen = 1;
      if (!errors[s].empty()) {
        end(part.rows[s], errors[s]);
      } else if (say(part.rows[s], said[s])) {
        going_on.push_back(static_cast<int64_t>(s));
      }
    }
    or_end(part, [&] { keep(part, going_on); });
    if (!part.rows.empty()) join(std::move(part));
  }
}

// Logits behind the question, or behind the context when nothing is asked.
at::Tensor DecodePool::ask(const Part& part, const std::vector<int32_t>& question,
                           std::vector<std::string>& errors) const {
  std::vector<GrowingCache> growing;
  std::vector<KvCache*> caches;
  std::vector<at::Tensor> of_contexts;
  for (const Sequence& row : part.rows) {
    growing.push_back(row.cache());
    caches.push_back(row.cache().cache);
    of_contexts.push_back(row.cache().context_logits);
  }
  errors.assign(growing.size(), "");
  if (question.empty()) return at::stack(of_contexts);
  DecodeBatch batch(caches);
  return extend_and_evict(model_, token_ids(question), batch, growing, errors);
}

// New sequences beside those that run. Their keys and values move into buffers of all; what has
// ended must not keep the old ones alive. Where memory does not suffice for that they stay apart.
void DecodePool::join(Part part) {
  const auto has_room = [&](const Part& other) {
    return other.rows.size() + part.rows.size() <= most_rows_;
  };
  const auto at = std::find_if(parts_.begin(), parts_.end(), has_room);
  if (at == parts_.end()) {
    parts_.push_back(std::move(part));
    return;
  }
  or_end(*at, [&] { look(*at); });
  if (at->rows.empty()) {
    *at = std::move(part);
    return;
  }
  try {
    leave_shared_buffers(*at);
    leave_shared_buffers(part);
    const at::Tensor ids = at::cat({at->ids, part.ids});
    at->rows.reserve(at->rows.size() + part.rows.size());
    at->ids = ids;
    std::move(part.rows.begin(), part.rows.end(), std::back_inserter(at->rows));
    at->step.reset();
  } catch (...) {
    parts_.push_back(std::move(part));
  }
}

void DecodePool::leave_shared_buffers(const Part& part) {
  for (const Sequence& row : part.rows) {
    for (size_t i = 0; i < row.asked->caches.size(); ++i) {
      if (!row.asked->is_running[i]) row.asked->caches[i].cache->leave_shared_buffers();
    }
  }
}

void DecodePool::step() {
  const c10::InferenceMode no_autograd;
  for (size_t p = 0; p < parts_.size(); ++p) step(p);
  std::erase_if(parts_, [](const Part& part) { return part.rows.empty(); });
  for (auto done = std::exchange(finished_, {}); !done.empty(); done.pop_front()) {
    done.front()->done(std::move(done.front()->answers));
  }
}

void DecodePool::step(size_t p) {
  std::vector<std::string> errors;
  while (!parts_[p].rows.empty()) {
    Part& part = parts_[p];
    try {
      errors = pass(part);
      break;
    } catch (...) {
      const std::string error = current_error();
      part.step.reset();
      or_end(part, [&] {
        look(part);
        if (part.rows.size() > 1) {
          split(p);
        } else if (!part.rows.empty()) {
          end(part.rows[0], error);
          keep(part, {});
        }
      });
    }
  }
  Part& part = parts_[p];
  if (!part.rows.empty()) or_end(part, [&] { take_in(part, errors); });
}

// What a pass made of the rows of a part.
void DecodePool::take_in(Part& part, const std::vector<std::string>& errors) {
  if (exclude_early_ends(part.step->logits(), part.rows)) part.step->choose();
  draw(part.step->logits(), part.ids, part.rows);
  part.chosen.select(0, part.n_unseen++).copy_(part.ids);
  for (Sequence& row : part.rows) ++row.n_chosen;
  std::vector<int64_t> sound;
  for (size_t s = 0; s < part.rows.size(); ++s) {
    if (errors[s].empty()) {
      sound.push_back(static_cast<int64_t>(s));
    } else {
      end(part.rows[s], errors[s]);  // one that evicts: the host has seen all that it said
    }
  }
  keep(part, sound);
  if (!part.rows.empty() && must_look(part)) look(part);
}

// One forward pass of a part; the errors of its evictions.
std::vector<std::string> DecodePool::pass(Part& part) {
  if (!part.step) {
    std::vector<GrowingCache> growing;
    for (const Sequence& row : part.rows) growing.push_back(row.cache());
    part.step = std::make_unique<DecodeStep>(model_, std::move(growing), part.ids);
    part.ids = part.step->ids();
    if (part.n_unseen == 0) {
      part.chosen = at::empty({look_every(part), part.ids.size(0)}, part.ids.options());
    }
  }
  std::vector<std::string> errors;
  part.step->run(errors);
  return errors;
}

// Returns whether any id was excluded.
bool DecodePool::exclude_early_ends(const at::Tensor& logits, const std::vector<Sequence>& rows) {
  bool any = false;
  for (size_t s = 0; s < rows.size(); ++s) {
    const GenerateOptions& options = rows[s].asked->options;
    if (!options.exclude_early_ends || rows[s].n_chosen >= options.min_new_tokens) continue;
    exclude(logits, static_cast<int64_t>(s), options.end_tokens);
    any = true;
  }
  return any;
}

// Ids of those that draw, by seed and step alone: the same in any company. A row with a NaN keeps
// its id, which says so.
void DecodePool::draw(const at::Tensor& logits, const at::Tensor& ids,
                      const std::vector<Sequence>& rows) {
  for (size_t s = 0; s < rows.size(); ++s) {
    const GenerateOptions& options = rows[s].asked->options;
    if (options.sampling.temperature == 0) continue;
    const auto row = static_cast<int64_t>(s);
    const at::Tensor id = ids.select(0, row);
    if (id.item<int64_t>() < 0) continue;
    constexpr uint64_t kOfAStep = 0x9e3779b97f4a7c15;
    Random random(options.seed + static_cast<uint64_t>(rows[s].n_chosen) * kOfAStep);
    id.fill_(sample_token(logits.select(0, row), options.sampling, random));
  }
}

// Steps between two looks: as often as the most curious row wants, and in every step that the host
// has a part in.
int64_t DecodePool::look_every(const Part& part) const {
  constexpr int64_t kOnADevice = 8;
  const int64_t usual = model_.device().is_cpu() ? 1 : kOnADevice;
  int64_t every = INT64_MAX;
  for (const Sequence& row : part.rows) {
    const int64_t wanted = row.asked->options.look_every;
    const bool evicts = row.cache().eviction != nullptr;
    every = std::min(every, evicts ? 1 : wanted > 0 ? wanted : usual);
  }
  return every;
}

bool DecodePool::must_look(const Part& part) const {
  return part.n_unseen == part.chosen.size(0) ||
         std::any_of(part.rows.begin(), part.rows.end(), [&](const Sequence& row) {
           return row.n_chosen >= row.asked->options.max_new_tokens;
         });
}

// Takes in what was chosen since the host looked last; who ended leaves.
void DecodePool::look(Part& part) {
  if (part.n_unseen == 0) return;
  const auto n_rows = static_cast<int64_t>(part.rows.size());
  const int64_t n_steps = std::exchange(part.n_unseen, 0);
  const std::vector<int64_t> ids = host_values(part.chosen.narrow(0, 0, n_steps));
  std::vector<int64_t> going_on;
  for (int64_t s = 0; s < n_rows; ++s) {
    bool goes_on = true;
    for (int64_t k = 0; k < n_steps && goes_on; ++k) {
      goes_on = say(part.rows[s], ids[k * n_rows + s]);
    }
    if (goes_on) going_on.push_back(s);
  }
  keep(part, going_on);
}

// The second half of a part that failed becomes one of its own.
void DecodePool::split(size_t p) {
  const auto n = static_cast<int64_t>(parts_[p].rows.size()), half = n / 2;
  most_rows_ = std::min(most_rows_, static_cast<size_t>(n - half));
  Part second;
  second.rows.assign(parts_[p].rows.begin() + half, parts_[p].rows.end());
  second.ids = parts_[p].ids.narrow(0, half, n - half);
  std::vector<int64_t> first(half);
  std::iota(first.begin(), first.end(), int64_t{0});
  keep(parts_[p], first);
  parts_.push_back(std::move(second));
}

// Returns whether the sequence goes on.
bool DecodePool::say(const Sequence& sequence, int64_t id) {
  const GenerateOptions& options = sequence.asked->options;
  Generation& answer = sequence.answer();
  const auto n_before = std::ssize(answer.tokens);
  if (id < 0) {
    end(sequence, fmt::format("the logits of step {} are NaN", n_before));
    return false;
  }
  answer.tokens.push_back(static_cast<int32_t>(id));
  answer.token_ms.push_back(sequence.asked->watch.ms());
  const bool is_end = std::find(options.end_tokens.begin(), options.end_tokens.end(), id) !=
                      options.end_tokens.end();
  if (n_before + 1 < options.max_new_tokens && !(is_end && n_before >= options.min_new_tokens)) {
    return true;
  }
  end(sequence, "");
  return false;
}

void DecodePool::end(const Sequence& sequence, const std::string& error) {
  Asked& asked = *sequence.asked;
  sequence.answer().error = error;
  KvCache& cache = *sequence.cache().cache;
  sequence.answer().attended = cache.attended();
  sequence.answer().kv_bytes = cache.bytes_logical();
  if (sequence.cache().asked_once) cache.let_go();
  asked.is_running[sequence.index] = false;
  --n_running_;
  if (--asked.n_running == 0) finished_.push_back(sequence.asked);
}

// Between two passes nothing can be tried again: where `work` fails, the part's sequences end.
void DecodePool::or_end(Part& part, const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    const std::string error = current_error();
    for (const Sequence& row : part.rows) {
      if (row.asked->is_running[row.index]) end(row, error);
    }
    part = {};
  }
}

// Only these rows stay, ascending.
void DecodePool::keep(Part& part, const std::vector<int64_t>& rows) {
  if (rows.size() == part.rows.size()) return;
  if (rows.empty()) {
    part = {};
    return;
  }
  const at::Tensor index = on_device(at::tensor(rows, at::kLong), part.ids.device());
  part.ids = part.ids.index_select(0, index);
  if (part.n_unseen > 0) part.chosen = part.chosen.index_select(1, index);
  std::vector<Sequence> kept;
  for (const int64_t s : rows) kept.push_back(std::move(part.rows[s]));
  part.rows = std::move(kept);
  part.step.reset();
}

}  // namespace kvbench
