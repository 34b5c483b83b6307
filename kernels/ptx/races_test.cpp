// Random programs of accesses and barriers: the engine finds a race exactly where full vector
// clocks over all pairs of accesses have one, in any order of blocks and warps.
#include <array>
#include <random>

#include "kernels/common/test_device.h"
#include "kernels/ptx/launch.h"

namespace kvbench::ptx {
namespace {

constexpr int kThreads = 64, kPrograms = 400, kPlaces = 2;
constexpr uint64_t kSeeds = 2;

enum class What { kLoad, kStore, kAtomic, kBlock, kWarp, kHalves, kNamed };

// A step of all threads of the block from `first` to `last`, at a place of memory.
struct Step {
  What what = What::kLoad;
  int first = 0, last = kThreads - 1, place = 0;
};

using Clocks = std::array<int, kThreads>;

struct Event {
  int thread = 0, place = 0;
  bool write = false, atomic = false;
  Clocks seen = {};  // by thread: its latest steps that are ordered before
};

std::vector<Step> random_program(std::mt19937& random) {
  std::vector<Step> steps(3 + random() % 8);
  for (Step& s : steps) {
    const What kinds[] = {What::kLoad,  What::kLoad, What::kStore,  What::kStore, What::kAtomic,
                          What::kBlock, What::kWarp, What::kHalves, What::kNamed};
    s.what = kinds[random() % std::size(kinds)];
    s.place = static_cast<int>(random() % kPlaces);
    if (s.what == What::kWarp || s.what == What::kHalves || s.what == What::kNamed) {
      s.first = random() % 2 == 0 ? 0 : 32;  // one warp
      s.last = s.first + 31;
    } else if (s.what == What::kStore || random() % 2 == 0) {
      s.first = s.last = static_cast<int>(random() % kThreads);
    } else if (random() % 2 == 0) {
      s.first = static_cast<int>(random() % 4) * 16;
      s.last = s.first + 15;
    }
  }
  return steps;
}

bool has_race(const std::vector<Step>& steps, bool two_blocks) {
  std::array<Clocks, kThreads> clocks = {};
  for (int t = 0; t < kThreads; ++t) clocks[t][t] = 1;
  std::vector<Event> events;
  const auto join = [&](int first, int last) {
    Clocks all = {};
    for (int t = first; t <= last; ++t) {
      for (int u = 0; u < kThreads; ++u) all[u] = std::max(all[u], clocks[t][u]);
    }
    for (int t = first; t <= last; ++t) {
      clocks[t] = all;
      ++clocks[t][t];
    }
  };
  for (const Step& s : steps) {
    switch (s.what) {
      case What::kBlock:
        join(0, kThreads - 1);
        break;
      case What::kHalves:
        join(s.first, s.first + 15);
        join(s.first + 16, s.last);
        break;
      case What::kWarp:
      case What::kNamed:
        join(s.first, s.last);
        break;
      default:
        for (int t = s.first; t <= s.last; ++t) {
          events.push_back({t, s.place, s.what != What::kLoad, s.what == What::kAtomic, clocks[t]});
        }
    }
  }
  for (size_t i = 0; i < events.size(); ++i) {
    for (size_t j = 0; j < events.size(); ++j) {
      const Event &a = events[i], &b = events[j];
      if (a.place != b.place || (!a.write && !b.write) || (a.atomic && b.atomic)) continue;
      if (two_blocks) return true;
      if (i < j && a.thread != b.thread && b.seen[a.thread] < a.seen[a.thread]) return true;
    }
  }
  return false;
}

std::string text_of(const std::vector<Step>& steps, const std::string& name, bool global) {
  const std::string space = global ? "global" : "shared";
  std::string text = ".visible .entry " + name + R"((.param .u64 memory)
{
  .reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %d<4>;
  .shared .align 8 .b8 s[16];
  mov.u32 %r0, %tid.x;
  and.b32 %r3, %r0, 31;
  setp.lt.u32 %p3, %r3, 16;
  selp.b32 %r4, 65535, -65536, %p3;
)";
  text += global ? "  ld.param.u64 %d0, [memory];\n" : "  mov.u64 %d0, s;\n";
  if (!global) {  // written by one thread, so that no read is of nothing
    text +=
        "  setp.eq.u32 %p0, %r0, 0;\n  @%p0 st.shared.u32 [%d0], %r0;\n"
        "  @%p0 st.shared.u32 [%d0+4], %r0;\n  bar.sync 0;\n";
  }
  for (const Step& s : steps) {
    const std::string at = "[%d0+" + std::to_string(4 * s.place) + "]";
    text += "  sub.u32 %r1, %r0, " + std::to_string(s.first) + ";\n  setp.le.u32 %p1, %r1, " +
            std::to_string(s.last - s.first) + ";\n";
    switch (s.what) {
      case What::kLoad:
        text += "  @%p1 ld." + space + ".u32 %r2, " + at + ";\n";
        break;
      case What::kStore:
        text += "  @%p1 st." + space + ".u32 " + at + ", %r0;\n";
        break;
      case What::kAtomic:
        text += "  @%p1 red." + space + ".add.u32 " + at + ", 1;\n";
        break;
      case What::kBlock:
        text += "  bar.sync 0;\n";
        break;
      case What::kWarp:
        text += "  @%p1 bar.warp.sync -1;\n";
        break;
      case What::kHalves:
        text += "  @%p1 bar.warp.sync %r4;\n";
        break;
      case What::kNamed:
        text += "  @%p1 bar.sync 5, 32;\n";
        break;
    }
  }
  return text + "  ret;\n}\n";
}

TEST(Races, AreThoseOfFullVectorClocks) {
  std::mt19937 random(1);
  std::vector<std::vector<Step>> programs;
  std::string text = ".version 9.0\n.target sm_80\n.address_size 64\n";
  for (int n = 0; n < kPrograms; ++n) {
    programs.push_back(random_program(random));
    // Half of them without named barriers, which the engine follows in another way.
    if (n % 2 == 0) {
      std::erase_if(programs.back(), [](const Step& s) { return s.what == What::kNamed; });
    }
    text += text_of(programs.back(), "k" + std::to_string(n), n % 4 >= 2);
  }
  const int module = Engine::get().add_module(text);
  TestArray memory(std::vector<uint32_t>(kPlaces, 0));
  int n_racy = 0;
  for (int n = 0; n < kPrograms; ++n) {
    const bool global = n % 4 >= 2, two_blocks = global && n % 8 >= 6;
    const bool want = has_race(programs[n], two_blocks);
    n_racy += want;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      set_seed(seed);
      uint64_t address = reinterpret_cast<uint64_t>(memory.data());
      void* arguments[] = {&address};
      const std::string name = "k" + std::to_string(n);
      ASSERT_EQ(Engine::get().launch(module, name, {two_blocks ? 2U : 1U, 1, 1}, {kThreads, 1, 1},
                                     0, 48 * 1024, arguments),
                LaunchResult::kOk);
      bool got = false;
      for (const auto& finding : take_findings()) {
        got |= finding.check.starts_with("race");
        EXPECT_TRUE(finding.check.starts_with("race")) << finding.text();
      }
      EXPECT_EQ(got, want) << text_of(programs[n], name, global);
    }
  }
  EXPECT_GT(n_racy, kPrograms / 4);
  EXPECT_LT(n_racy, kPrograms * 3 / 4);
}

}  // namespace
}  // namespace kvbench::ptx
