// Instructions of whole warps: shuffles, votes, reductions, barriers of lanes.
#include <algorithm>
#include <bit>

#include "kernels/ptx/machine.h"

namespace kvbench::ptx {
namespace {

// Calls f(members) once for each member mask that the lanes of `mask` name, with the lanes of it
// that are here.
template <class F>
void by_members(Warp& w, const Instruction& i, uint32_t mask, F f) {
  const auto* members = w.at<uint32_t>(i.members);
  for (uint32_t rest = mask; rest != 0;) {
    const uint32_t wanted = members[std::countr_zero(rest)];
    uint32_t here = 0;
    for (int l = 0; l < kLanes; ++l) {
      if ((rest >> l & 1) && members[l] == wanted) here |= 1U << l;
    }
    rest &= ~here;
    f(here);
  }
}

void set_predicate(Warp& w, uint16_t slot, uint32_t mask, uint32_t bits) {
  auto* p = w.at<uint32_t>(slot);
  *p = (*p & ~mask) | (bits & mask);
}

}  // namespace

// r: d, p (or 0), a, b, c.
void run_shuffle(Warp& w, const Instruction& i, uint32_t mask) {
  const auto *a = w.at<uint32_t>(i.r[2]), *b = w.at<uint32_t>(i.r[3]), *c = w.at<uint32_t>(i.r[4]);
  uint32_t result[kLanes];
  uint32_t inside = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1)) continue;
    const int segment = static_cast<int>(c[lane] >> 8 & 31), clamp = static_cast<int>(c[lane] & 31);
    const int offset = static_cast<int>(b[lane] & 31);
    const int lowest = lane & segment, last = lowest | (clamp & ~segment);
    int from = 0;
    bool in = false;
    switch (i.mode) {
      case kUp:
        from = lane - offset;
        in = from >= last;
        break;
      case kDown:
        from = lane + offset;
        in = from <= last;
        break;
      case kButterfly:
        from = lane ^ offset;
        in = from <= last;
        break;
      default:
        from = lowest | (offset & ~segment);
        in = from <= last;
    }
    if (!in) from = lane;
    if (!(mask >> from & 1) || !(w.at<uint32_t>(i.members)[lane] >> from & 1)) {
      w.machine->report("source lane absent", w, lane,
                        "lane " + std::to_string(from) + " takes no part");
      result[lane] = kAll;
      continue;
    }
    inside |= static_cast<uint32_t>(in) << lane;
    result[lane] = a[from];
  }
  auto* d = w.at<uint32_t>(i.r[0]);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (mask >> lane & 1) d[lane] = result[lane];
  }
  if (i.r[1] != 0) set_predicate(w, i.r[1], mask, inside);
}

// r: d, a (a predicate).
void run_vote(Warp& w, const Instruction& i, uint32_t mask) {
  const uint32_t votes = *w.at<uint32_t>(i.r[1]) ^ (i.negated ? kAll : 0);
  by_members(w, i, mask, [&](uint32_t here) {
    const uint32_t yes = votes & here;
    if (i.mode == kBallot) {
      for (int l = 0; l < kLanes; ++l) {
        if (here >> l & 1) w.at<uint32_t>(i.r[0])[l] = yes;
      }
      return;
    }
    const bool result = i.mode == kAny     ? yes != 0
                        : i.mode == kEvery ? yes == here
                                           : yes == 0 || yes == here;
    set_predicate(w, i.r[0], here, result ? kAll : 0);
  });
}

// r: d, p (or 0), a. mode 0: any, 1: all.
void run_match(Warp& w, const Instruction& i, uint32_t mask) {
  const auto bits_of = [&](int lane) {
    return i.bytes == 8 ? w.at<uint64_t>(i.r[2])[lane] : w.at<uint32_t>(i.r[2])[lane];
  };
  by_members(w, i, mask, [&](uint32_t here) {
    uint32_t result[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      result[lane] = 0;
      for (int other = 0; other < kLanes; ++other) {
        if ((here >> other & 1) && bits_of(other) == bits_of(lane)) result[lane] |= 1U << other;
      }
    }
    uint32_t alike = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      if (!(here >> lane & 1)) continue;
      const bool all = result[lane] == here;
      w.at<uint32_t>(i.r[0])[lane] = i.mode == 0 || all ? result[lane] : 0;
      alike |= static_cast<uint32_t>(all) << lane;
    }
    if (i.r[1] != 0) set_predicate(w, i.r[1], here, alike);
  });
}

// r: d, a.
void run_reduce(Warp& w, const Instruction& i, uint32_t mask) {
  const auto* a = w.at<uint32_t>(i.r[1]);
  by_members(w, i, mask, [&](uint32_t here) {
    uint32_t result = a[std::countr_zero(here)];
    for (uint32_t rest = here & (here - 1); rest != 0; rest &= rest - 1) {
      const uint32_t x = a[std::countr_zero(rest)];
      const auto s = static_cast<int32_t>(x), t = static_cast<int32_t>(result);
      switch (i.mode) {
        case kAdd:
          result += x;
          break;
        case kMin:
          result = i.is_signed ? static_cast<uint32_t>(std::min(s, t)) : std::min(x, result);
          break;
        case kMax:
          result = i.is_signed ? static_cast<uint32_t>(std::max(s, t)) : std::max(x, result);
          break;
        case kAnd:
          result &= x;
          break;
        case kOr:
          result |= x;
          break;
        default:
          result ^= x;
      }
    }
    for (int l = 0; l < kLanes; ++l) {
      if (here >> l & 1) w.at<uint32_t>(i.r[0])[l] = result;
    }
  });
}

void run_warp_barrier(Warp& w, const Instruction& i, uint32_t mask) {
  by_members(w, i, mask, [&](uint32_t here) { w.machine->sync_lanes(w, here); });
}

void run_active_mask(Warp& w, const Instruction& i, uint32_t mask) {
  for (int l = 0; l < kLanes; ++l) {
    if (mask >> l & 1) w.at<uint32_t>(i.r[0])[l] = mask;
  }
}

void run_assert_failed(Warp& w, const Instruction&, uint32_t mask) {
  w.machine->report("assertion failed", w, std::countr_zero(mask), "assert() in the kernel");
  throw Stop{};
}

}  // namespace kvbench::ptx
