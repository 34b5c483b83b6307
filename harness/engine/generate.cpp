#include "harness/engine/generate.h"

#include "harness/engine/decode_pool.h"

namespace kvbench {

std::vector<Generation> generate(const Decoder& model, const std::vector<GrowingCache>& caches,
                                 const std::vector<int32_t>& question,
                                 const GenerateOptions& options) {
  std::vector<Generation> answers;
  DecodePool pool(model);
  pool.ask(caches, question, options,
           [&](std::vector<Generation> said) { answers = std::move(said); });
  while (pool.is_busy()) pool.step();
  return answers;
}

}  // namespace kvbench
