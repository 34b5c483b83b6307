// Both matrices run along the summed dimension, so vectors hold partial sums of one output: lane i
// takes the elements i, i + step, ... in order, and the lanes are added as a tree. A block of rows
// and outputs has as many such vectors as a vector has lanes, and they become its sums together.
// What shape a block has changes no sum.
#include <algorithm>
#include <cstring>
#include <memory>
#include <type_traits>

#include "kernels/common/element.h"
#include "kernels/common/vector_math.h"
#include "kernels/skinny_linear/skinny_linear.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace kvbench {
namespace {

// Outputs whose weights stay in the cache while all rows pass.
constexpr int64_t kGroup = 32;

// One step of a vector's sum. Inputs are prepared as `Input`, padded with zeros to whole steps.
template <class E>
struct FloatSteps {
  using Input = float;
  static constexpr int64_t kStep = kLanes;
  using Loaded = Vec;
  static Input prepare(const typename E::Storage* x) { return E::load(x); }
  static Loaded load(const Input* x) { return in_register(Float32::load_lanes(x)); }
  static Loaded load_weight(const typename E::Storage* weight) {
    return in_register(E::load_lanes(weight));
  }
  static void add(Vec& sum, Loaded x, Loaded weight) { sum += x * weight; }
};

#ifdef __AVX512BF16__
// Pairs of bfloat16 products in one instruction.
struct PairSteps {
  using Input = uint16_t;
  static constexpr int64_t kStep = 2 * kLanes;
  using Loaded = __m512i;
  static Input prepare(const uint16_t* x) { return *x; }
  static Loaded load(const Input* x) { return _mm512_loadu_si512(x); }
  static Loaded load_weight(const uint16_t* weight) { return _mm512_loadu_si512(weight); }
  static void add(Vec& sum, Loaded x, Loaded weight) {
    sum = reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                 reinterpret_cast<__m512bh>(x),
                                                 reinterpret_cast<__m512bh>(weight)));
  }
};
template <class E>
using Steps = std::conditional_t<std::is_same_v<E, BFloat16>, PairSteps, FloatSteps<E>>;
#else
template <class E>
using Steps = FloatSteps<E>;
#endif

template <class E>
class Multiplier {
  using Storage = typename E::Storage;
  using Input = typename Steps<E>::Input;
  static constexpr int64_t kStep = Steps<E>::kStep;

 public:
  explicit Multiplier(const SkinnyLinear& op)
      : op_(op), whole_(op.n_in / kStep * kStep), padded_((op.n_in + kStep - 1) / kStep * kStep) {
    if constexpr (std::is_same_v<Input, Storage>) {
      x_ = static_cast<const Input*>(op.x);
      if (padded_ == op.n_in && is_aligned(x_)) return;
    }
    room_ = std::make_unique_for_overwrite<Input[]>(op.n_rows * padded_ + kStep);
    Input* rows = room_.get();
    while (!is_aligned(rows)) ++rows;
    x_ = rows;
    for (int64_t r = 0; r < op.n_rows; ++r, rows += padded_) {
      const auto* row = static_cast<const Storage*>(op.x) + r * op.n_in;
      for (int64_t k = 0; k < op.n_in; ++k) rows[k] = Steps<E>::prepare(row + k);
      std::fill(rows + op.n_in, rows + padded_, Input{});
    }
  }

  // Outputs first .. end - 1 of all rows.
  void run(int64_t first, int64_t end) const {
    for (int64_t r = 0; r < op_.n_rows;) {
      const int64_t left = op_.n_rows - r;
      const int64_t rows = left >= 3 ? 4 : left;  // three rows cost what four do
      for (int64_t n = first; n < end; n += kLanes / rows) {
        if (rows == 4) {
          block<4>(r, n, end);
        } else if (rows == 2) {
          block<2>(r, n, end);
        } else {
          block<1>(r, n, end);
        }
      }
      r += rows;
    }
  }

 private:
  // Or loads cross cache lines.
  static bool is_aligned(const Input* x) {
    return reinterpret_cast<uintptr_t>(x) % sizeof(Vec) == 0;
  }

  // Rows and outputs past the end repeat the last one; their sums are not stored.
  template <int64_t kRows>
  void block(int64_t r0, int64_t n0, int64_t n_end) const {
    constexpr int64_t kOutputs = kLanes / kRows;
    const Input* x[kRows];
    const Storage* weight[kOutputs];
    for (int64_t r = 0; r < kRows; ++r) {
      x[r] = x_ + std::min(r0 + r, op_.n_rows - 1) * padded_;
    }
    for (int64_t n = 0; n < kOutputs; ++n) {
      weight[n] = static_cast<const Storage*>(op_.weight) + std::min(n0 + n, n_end - 1) * op_.n_in;
    }
    Vec sums[kLanes] = {};
    for (int64_t k = 0; k < whole_; k += kStep) {
      typename Steps<E>::Loaded inputs[kRows];
      for (int64_t r = 0; r < kRows; ++r) inputs[r] = Steps<E>::load(x[r] + k);
      for (int64_t n = 0; n < kOutputs; ++n) {
        const auto weights = Steps<E>::load_weight(weight[n] + k);
        for (int64_t r = 0; r < kRows; ++r) {
          Steps<E>::add(sums[r * kOutputs + n], inputs[r], weights);
        }
      }
    }
    if (whole_ < op_.n_in) {
      for (int64_t n = 0; n < kOutputs; ++n) {
        Storage rest[kStep] = {};
        std::copy(weight[n] + whole_, weight[n] + op_.n_in, rest);
        const auto weights = Steps<E>::load_weight(rest);
        for (int64_t r = 0; r < kRows; ++r) {
          Steps<E>::add(sums[r * kOutputs + n], Steps<E>::load(x[r] + whole_), weights);
        }
      }
    }
    Vec totals = sums_of(sums);
    const int64_t outputs = std::min(kOutputs, n_end - n0);
    if (op_.bias != nullptr) {
      const auto* bias = static_cast<const Storage*>(op_.bias) + n0;
      for (int64_t i = 0; i < kLanes; ++i) {
        totals[i] += E::load(bias + std::min(i % kOutputs, outputs - 1));
      }
    }
    Storage rounded[kLanes];
    E::store_lanes(totals, rounded);
    for (int64_t r = 0; r < std::min(kRows, op_.n_rows - r0); ++r) {
      const Storage* from = rounded + r * kOutputs;
      Storage* out = static_cast<Storage*>(op_.out) + (r0 + r) * op_.n_out + n0;
      if (outputs == kOutputs) {
        std::memcpy(out, from, kOutputs * sizeof(Storage));  // one instruction
      } else {
        std::copy(from, from + outputs, out);
      }
    }
  }

  const SkinnyLinear& op_;
  int64_t whole_, padded_;  // elements of a row in whole steps, and with zeros behind them
  std::unique_ptr<Input[]> room_;
  const Input* x_;  // [n_rows, padded_], aligned: in `room_`, or as they lie
};

template <class E>
void multiply(const SkinnyLinear& op) {
  if (op.n_rows == 0) return;
  const Multiplier<E> multiplier(op);
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < op.n_out; n += kGroup) {
    multiplier.run(n, std::min(n + kGroup, op.n_out));
  }
}

}  // namespace

bool skinny_linear_suits_many_rows(DType dtype) {
#ifdef __AVX512F__
  return dtype == DType::kFloat32 && __builtin_cpu_is("amd") > 0;
#else
  static_cast<void>(dtype);
  return false;
#endif
}

void skinny_linear_cpu(const SkinnyLinear& op) {
  with_element(op.dtype, [&](auto element) { multiply<decltype(element)>(op); });
}

}  // namespace kvbench
