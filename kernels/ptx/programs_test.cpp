// Whole kernels against plain loops: CUB, tensor cores, warp operations, modules, atomics; and what
// the counters say of a kernel whose counts are known.
#include "kernels/ptx/programs.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "kernels/common/test_device.h"
#include "kernels/ptx/engine.h"

namespace kvbench::ptx {
namespace {

TEST(Programs, Cub) {
  std::mt19937 random(1);
  std::vector<int> counts(128);
  for (auto& c : counts) c = static_cast<int>(random() % 100);
  const auto keys = random_values(256, 2);
  TestArray d_counts(counts);
  TestArray d_keys(keys);
  TestArray<int> sums(128), places(256);
  TestArray<float> sorted(256), total(1);
  launch_cub(d_counts.data(), d_keys.data(), sums.data(), sorted.data(), places.data(),
             total.data());
  std::vector<int> want_sums(128), want_places(256);
  std::exclusive_scan(counts.begin(), counts.end(), want_sums.begin(), 0);
  std::iota(want_places.begin(), want_places.end(), 0);
  std::stable_sort(want_places.begin(), want_places.end(),
                   [&](int a, int b) { return keys[a] > keys[b]; });
  EXPECT_EQ(sums.read(), want_sums);
  EXPECT_EQ(places.read(), want_places);
  const auto got = sorted.read();
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], keys[want_places[i]]);
  EXPECT_NEAR(total.read()[0], std::accumulate(keys.begin(), keys.end(), 0.0), 1e-4);
}

TEST(Programs, TensorCores) {
  for (int type = 0; type < 3; ++type) {
    const DType dtype = type == 0 ? DType::kBFloat16 : DType::kFloat16;
    const auto a = random_values(16 * 16, 1, dtype), b = random_values(16 * 8, 2, dtype);
    const auto c = random_values(16 * 8, 3, DType::kFloat16);
    const auto bits = [&](const std::vector<float>& values) {
      const auto bytes = encode(values, dtype);
      std::vector<uint16_t> words(values.size());
      std::memcpy(words.data(), bytes.data(), bytes.size());
      return words;
    };
    TestArray d_a(bits(a)), d_b(bits(b));
    TestArray d_c(c);
    TestArray<float> d(16 * 8);
    launch_mma(type, d_a.data(), d_b.data(), d_c.data(), d.data());
    std::vector<float> want(16 * 8);
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 8; ++column) {
        double sum = c[row * 8 + column];
        for (int k = 0; k < 16; ++k) sum += double{a[row * 16 + k]} * b[k * 8 + column];
        want[row * 8 + column] = static_cast<float>(sum);
      }
    }
    expect_near(d.read(), want, type == 2 ? 0x1p-11 : 1e-6, 1e-6);
  }
}

TEST(Programs, Warps) {
  std::mt19937 random(3);
  std::vector<int> v(32);
  for (auto& x : v) x = static_cast<int>(random() % 40) - 15;
  TestArray values(v);
  TestArray<int> out(kWarpResults * 32);
  launch_warp(values.data(), out.data());
  const auto got = out.read();
  unsigned positive = 0, all_xor = 0;
  int n_positive = 0;
  for (int l = 0; l < 32; ++l) {
    positive |= static_cast<unsigned>(v[l] > 0) << l;
    n_positive += v[l] > 0;
    all_xor ^= static_cast<unsigned>(v[l]);
  }
  const int sum = std::accumulate(v.begin(), v.end(), 0);
  unsigned least = ~0U;
  for (const int x : v) least = std::min(least, static_cast<unsigned>(x));
  for (int l = 0; l < 32; ++l) {
    const int in8 = l % 8, first8 = l - in8;
    unsigned match = 0;
    for (int o = 0; o < 32; ++o) match |= static_cast<unsigned>(v[o] % 4 == v[l] % 4) << o;
    const auto times = [&](int lane) { return v[lane] * (lane % 4 + 1); };
    const int want[kWarpResults] = {
        v[5],
        v[(l + 3) % 32],
        v[l < 3 ? l : l - 3],
        v[l + 7 > 31 ? l : l + 7],
        v[l ^ 9],
        v[in8 < 2 ? l : l - 2],
        v[in8 > 5 ? l : l + 2],
        v[l ^ 4],
        v[first8 + 1],
        static_cast<int>(positive),
        1,
        std::all_of(v.begin(), v.end(), [&](int x) { return x == v[3]; }),
        static_cast<int>(match),
        0,  // all lanes alike: the whole mask, -1, and 1
        sum,
        *std::max_element(v.begin(), v.end()),
        static_cast<int>(least),
        static_cast<int>(all_xor),
        l < 16 ? times(l) + times(l ^ 1) : std::accumulate(v.begin() + 16, v.end(), 0),
        n_positive * 4 + 2,
    };
    for (int i = 0; i < kWarpResults; ++i) {
      EXPECT_EQ(got[i * 32 + l], want[i]) << "result " << i << " of lane " << l;
    }
  }
}

TEST(Programs, ModulesCallsAndLocals) {
  const auto in = random_values(80, 4);
  TestArray d_in(in);
  TestArray<float> out(64);
  constexpr int kN = 16;
  const int before = read_launches();
  launch_module(d_in.data(), out.data(), kN);
  EXPECT_EQ(read_launches(), before + 1);
  const float weights[4] = {0.5F, 1, 2, 4};
  std::vector<float> want(64);
  for (int t = 0; t < 64; ++t) {
    std::vector<float> values(16);
    for (int i = 0; i < kN; ++i) values[(i * 5) % 16] = in[t + i];
    double sum = *std::max_element(values.begin(), values.begin() + kN / 2);
    for (int i = 0; i < kN; ++i) sum += double{values[i]} * weights[i % 4] * (i < kN / 2 ? 2 : 1);
    want[63 - t] = static_cast<float>(sum);
  }
  expect_near(out.read(), want, 1e-5, 1e-5);
}

TEST(Programs, Atomics) {
  std::vector<unsigned> counts(12, 0);
  counts[2] = counts[4] = ~0U;
  TestArray d(counts);
  launch_atomics(d.data());
  const auto got = d.read();
  EXPECT_EQ(got[0], 255U * 256 / 2);
  EXPECT_EQ(got[1], 255U);
  EXPECT_EQ(got[2], 0U);
  EXPECT_EQ(got[3], ~0U);
  EXPECT_EQ(got[4], 0xffff0000U);
  EXPECT_EQ(got[5], 0U);
  EXPECT_EQ(got[6], 256U % 100);
  EXPECT_EQ(std::bit_cast<float>(got[7]), 128.0F);
  EXPECT_EQ(got[8], 255U * 256 / 2);
  EXPECT_EQ(got[10], 256U);
  EXPECT_EQ(got[11], 256U);
}

TEST(Counted, SectorsAndWavefronts) {
  TestArray in(std::vector<float>(32 * 32, 1));
  TestArray<float> out(32);
  struct Want {
    int stride, shared_stride;
    uint64_t sectors, wavefronts;
  };
  for (const auto& [stride, shared_stride, sectors, wavefronts] :
       {Want{1, 1, 4, 1}, {2, 2, 8, 2}, {0, 1, 1, 1}, {8, 33, 32, 1}, {32, 32, 32, 32}}) {
    reset_counters();
    const uint64_t launched = launches();
    launch_strided(in.data(), out.data(), stride, shared_stride);
    const Counters n = counters("strided_kernel");
    EXPECT_EQ(launches(), launched + 1);
    EXPECT_EQ(n.launches, 1U);
    EXPECT_EQ(n.loads.requests, 1U);
    EXPECT_EQ(n.loads.asked_bytes, 128U);
    EXPECT_EQ(n.loads.sectors, sectors);
    EXPECT_EQ(n.loads.launch_distinct_sectors, sectors);
    EXPECT_EQ(n.stores.sectors, 4U);
    EXPECT_EQ(n.shared_requests, 2U);
    EXPECT_EQ(n.shared_wavefronts, 2 * wavefronts);
    EXPECT_EQ(n.shared_ideal_wavefronts, 2U);
    EXPECT_EQ(n.flops, 64U);  // a fused multiply and add
    EXPECT_EQ(n.barriers, 32U);
  }
}

}  // namespace
}  // namespace kvbench::ptx
