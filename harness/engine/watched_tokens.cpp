#include "harness/engine/watched_tokens.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace kvbench {

namespace {

// Of each position up to and including the last one that is watched its place among them.
class Places {
 public:
  explicit Places(const std::vector<int64_t>& watched)
      : none_(std::ssize(watched)),
        of_(*std::max_element(watched.begin(), watched.end()) + 1, none_) {
    for (size_t i = 0; i < watched.size(); ++i) of_[watched[i]] = static_cast<int64_t>(i);
  }
  int64_t none() const { return none_; }
  int64_t at(int64_t position) const { return position < end() ? of_[position] : none_; }
  int64_t end() const { return std::ssize(of_); }
  const std::vector<int64_t>& all() const { return of_; }

 private:
  int64_t none_;
  std::vector<int64_t> of_;
};

}  // namespace

at::Tensor kept_of(const Selection& kept, const std::vector<int64_t>& watched) {
  if (!kept.positions.is_cpu()) return kept_of_by_operators(kept, watched);
  const Places places(watched);
  const int64_t n_heads = kept.counts.n_kv_heads();
  at::Tensor seen = at::zeros({n_heads, places.none()}, at::kByte);
  const auto* positions = kept.positions.const_data_ptr<int32_t>();
  const auto* offsets = kept.offsets.const_data_ptr<int32_t>();
  auto* row = seen.mutable_data_ptr<uint8_t>();
  for (int64_t h = 0; h < n_heads; ++h, row += places.none()) {
    for (int32_t j = offsets[h]; j < offsets[h + 1]; ++j) {
      const int64_t place = places.at(positions[j]);
      if (place < places.none()) row[place] = 1;
    }
  }
  return seen;
}

at::Tensor kept_of_by_operators(const Selection& kept, const std::vector<int64_t>& watched) {
  const Places places(watched);
  const auto device = kept.positions.device();
  const int64_t n_heads = kept.counts.n_kv_heads(), n_columns = places.none() + 1;
  std::vector<int64_t> all = places.all();
  all.push_back(places.none());  // of every position behind them
  const at::Tensor place =
      at::tensor(all, at::kLong)
          .to(device)
          .index_select(0, kept.positions.clamp(0, places.end()).to(at::kLong));
  // n_heads for what lies behind the last head's entries, which means nothing.
  const at::Tensor head =
      at::bucketize(at::arange(kept.positions.numel(), kept.offsets.options()),
                    kept.offsets.narrow(0, 1, n_heads), /*out_int32=*/false, /*right=*/true);
  const at::Tensor seen =
      at::zeros({n_heads + 1, n_columns}, at::TensorOptions(device).dtype(at::kByte));
  seen.view(-1).index_fill_(0, head * n_columns + place, 1);
  return seen.narrow(0, 0, n_heads).narrow(1, 0, places.none());
}

}  // namespace kvbench
