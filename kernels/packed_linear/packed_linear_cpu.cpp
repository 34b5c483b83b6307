// A lane of a vector is an output: it takes the inputs in their order, kDepth of them at a time.
// Work is split into pieces of some rows and half a panel; what shape a piece has changes no sum.
#include <omp.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <type_traits>
#include <vector>

#include "kernels/common/element.h"
#include "kernels/common/multiply.h"
#include "kernels/common/team.h"
#include "kernels/packed_linear/packed_linear.h"

namespace kvbench {
namespace {

constexpr int64_t kPanel = PackedForm::kPanel, kHalf = kPanel / 2;
// Inputs of a panel that stay in a core's cache while rows pass, and the bytes of those rows.
constexpr int64_t kDepth = 2048, kRowBytes = 512 << 10;

// Of rows of E with a weight of W.
template <class E, class W>
struct ProductOf {
  using Type = ConvertingProduct<W>;
};
template <>
struct ProductOf<Float32, Float32> {
  using Type = FloatProduct;
};
template <class E>
struct ProductOf<E, BFloat16> {
  using Type = HalvesProduct;
};
#ifdef __AVX512BF16__
template <>
struct ProductOf<BFloat16, BFloat16> {
  using Type = PairProduct;
};
#endif

// Calls f with the element types of rows and weight.
template <class F>
void with_elements(DType dtype, DType weight_dtype, F&& f) {
  if (weight_dtype != dtype) return f(Float32(), BFloat16());
  with_element(dtype, [&](auto element) { f(element, element); });
}

template <class E, class W>
class Multiplier {
  using Storage = typename E::Storage;
  using Product = typename ProductOf<E, W>::Type;
  using Input = typename Product::Storage;
  static constexpr int64_t kTogether = Product::kSize;

 public:
  explicit Multiplier(const PackedLinear& op)
      : op_(op), padded_(PackedForm(op.weight_dtype).padded(op.n_in)) {
    if constexpr (std::is_same_v<Input, Storage>) {
      x_ = static_cast<const Input*>(op.x);
      if (padded_ == op.n_in) return;
    }
    room_.resize(op.n_rows * padded_);
    x_ = room_.data();
  }

  // Of every thread of a team.
  void run() {
    if (!room_.empty()) convert();
    const int64_t depth = std::min(padded_, kDepth);
    const int64_t of_cache =
        std::max(kRowBytes / (depth * static_cast<int64_t>(sizeof(Input))), 8 * kBlockRows);
    const int64_t n_chunks = (op_.n_rows + of_cache - 1) / of_cache;
    // All alike: threads get as many pieces each.
    const int64_t blocks = (op_.n_rows + kBlockRows - 1) / kBlockRows;
    const int64_t chunk = (blocks + n_chunks - 1) / n_chunks * kBlockRows;
    const int64_t n_halves = (op_.n_out + kHalf - 1) / kHalf;
    // [rows, kPanel], of this thread.
    const auto sums = std::make_unique_for_overwrite<float[]>(std::min(chunk, op_.n_rows) * kPanel);
    const int64_t n = n_chunks * n_halves, threads = omp_get_num_threads();
    const int64_t end = n * (omp_get_thread_num() + 1) / threads;
    for (int64_t i = n * omp_get_thread_num() / threads; i < end;) {
      const int64_t first = i / n_halves * chunk, half = i % n_halves;
      const int64_t rows = std::clamp<int64_t>(op_.n_rows - first, 0, chunk);
      const bool whole = half % 2 == 0 && half + 1 < n_halves && i + 1 < end;
      piece(first, rows, half * kHalf, whole ? kPanel : kHalf, sums.get());
      i += whole ? 2 : 1;
    }
#pragma omp barrier
  }

 private:
  void convert() {
#pragma omp for schedule(static)
    for (int64_t r = 0; r < op_.n_rows; ++r) {
      const auto* from = static_cast<const Storage*>(op_.x) + r * op_.n_in;
      Input* to = room_.data() + r * padded_;
      for (int64_t k = 0; k < op_.n_in; ++k) {
        if constexpr (std::is_same_v<Input, Storage>) {
          to[k] = from[k];
        } else {
          to[k] = E::load(from + k);
        }
      }
    }
  }

  void piece(int64_t first_row, int64_t rows, int64_t n0, int64_t outputs, float* sums) const {
    const auto* all = static_cast<const typename Product::Element*>(op_.weight);
    Columns<Product> weights = {all, kBlockColumns, padded_ / kTogether * kBlockColumns};
    weights.first = weights.at(n0);
    const int64_t n = std::min(outputs, op_.n_out - n0);
    Storage* out = static_cast<Storage*>(op_.out) + first_row * op_.n_out + n0;
    int64_t stride = kPanel;
    if constexpr (std::is_same_v<E, Float32>) {  // sums are answers already
      if (op_.bias == nullptr && n == outputs) {
        sums = out;
        stride = op_.n_out;
      }
    }
    for (int64_t k = 0; k < padded_;
         k += kDepth, weights.first += kDepth / kTogether * kBlockColumns) {
      const int64_t steps = std::min(kDepth, padded_ - k) / kTogether;
      const Input* x = x_ + first_row * padded_ + k;
      const auto run = k > 0 ? multiply<true, Product> : multiply<false, Product>;
      run(x, padded_, rows, weights, steps, outputs, sums, stride, /*first=*/0);
    }
    if (static_cast<void*>(sums) == out) return;
    for (int64_t r = 0; r < rows; ++r, out += op_.n_out) {
      float* row = sums + r * kPanel;
      if (op_.bias != nullptr) {
        for (int64_t i = 0; i < n; ++i) {
          row[i] += E::load(static_cast<const Storage*>(op_.bias) + n0 + i);
        }
      }
      int64_t i = 0;
      for (; i + kLanes <= n; i += kLanes) E::store_lanes(Float32::load_lanes(row + i), out + i);
      for (; i < n; ++i) out[i] = E::from(row[i]);
    }
  }

  PackedLinear op_;
  int64_t padded_;
  std::vector<Input> room_;  // zeros behind each row
  const Input* x_;           // [n_rows, padded_]: in `room_`, or as they lie
};

// Between a weight's numbers and packed ones of as many bits, or of a float's upper half.
template <class To, class From>
To converted(From number) {
  if constexpr (std::is_same_v<To, From>) {
    return number;
  } else if constexpr (sizeof(To) < sizeof(From)) {
    return static_cast<To>(std::bit_cast<uint32_t>(number) >> 16);
  } else {
    return BFloat16::load(&number);
  }
}

template <class E, class W>
void copy_in(const void* weight, int64_t n_out, int64_t n_in, const PackedForm& form,
             void* packed) {
  using Storage = typename W::Storage;
  const auto* from = static_cast<const typename E::Storage*>(weight);
  const int64_t padded = form.padded(n_in), outputs = PackedForm::n_panels(n_out) * kPanel;
#pragma omp parallel for schedule(static)
  for (int64_t side = 0; side < outputs; side += form.n_side) {
    Storage* to = static_cast<Storage*>(packed) + side * padded;
    for (int64_t k = 0; k < padded; k += form.n_together) {
      for (int64_t n = side; n < side + form.n_side; ++n) {
        for (int64_t i = k; i < k + form.n_together; ++i) {
          *to++ = n < n_out && i < n_in ? converted<Storage>(from[n * n_in + i]) : Storage{};
        }
      }
    }
  }
}

template <class E, class W>
void copy_out(const void* packed, int64_t n_in, const PackedForm& form, const int64_t* ids,
              int64_t n, void* out) {
  using Storage = typename E::Storage;
  const auto* from = static_cast<const typename W::Storage*>(packed);
#pragma omp for schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    Storage* row = static_cast<Storage*>(out) + i * n_in;
    const auto* next = from + form.place(n_in, ids[i], 0);
    for (int64_t k = 0; k < n_in; k += form.n_together, next += form.n_side * form.n_together) {
      for (int64_t j = k; j < std::min(k + form.n_together, n_in); ++j) {
        row[j] = converted<Storage>(next[j - k]);
      }
    }
  }
}

}  // namespace

PackedForm::PackedForm(DType dtype)
    : n_together(dtype == DType::kBFloat16 ? HalvesProduct::kSize : 1), n_side(kBlockColumns) {}

DType packed_dtype(const void* weight, int64_t n, DType dtype) {
  if (dtype != DType::kFloat32) return dtype;
  const auto* numbers = static_cast<const float*>(weight);
  const bool fits = std::all_of(numbers, numbers + n, [](float number) {
    return (std::bit_cast<uint32_t>(number) & 0xffff) == 0;
  });
  return fits ? DType::kBFloat16 : dtype;
}

void packed_linear_cpu(const PackedLinear& op) {
  if (op.n_rows == 0) return;
  with_elements(op.dtype, op.weight_dtype, [&](auto e, auto w) {
    const auto multiplier = std::make_shared<Multiplier<decltype(e), decltype(w)>>(op);
    on_team(/*is_large=*/true, [multiplier] { multiplier->run(); });
  });
}

void pack_weight_cpu(const void* weight, int64_t n_out, int64_t n_in, DType dtype, DType packed_as,
                     void* packed) {
  with_elements(dtype, packed_as, [&](auto e, auto w) {
    copy_in<decltype(e), decltype(w)>(weight, n_out, n_in, PackedForm(packed_as), packed);
  });
}

void packed_rows_cpu(const void* packed, int64_t n_in, DType packed_as, const int64_t* ids,
                     int64_t n, DType dtype, void* out) {
  with_elements(dtype, packed_as, [&](auto e, auto w) {
    on_team(n > 1, [=] {
      copy_out<decltype(e), decltype(w)>(packed, n_in, PackedForm(packed_as), ids, n, out);
    });
  });
}

}  // namespace kvbench
