// Instructions that move data: loads, stores, atomic operations, cp.async.
#include <algorithm>
#include <bit>

#include "kernels/ptx/machine.h"

namespace kvbench::ptx {
namespace {

Request request_of(const Warp& w, const Instruction& i, uint32_t mask, Request::Kind kind) {
  Request request;
  request.kind = kind;
  request.space = i.space;
  request.mask = mask;
  request.bytes = uint32_t{i.bytes} * i.parts;
  if (i.address_bytes == 8) {
    const auto* base = w.at<uint64_t>(i.address);
    for (int l = 0; l < kLanes; ++l) request.address[l] = base[l] + i.offset;
  } else {
    const auto* base = w.at<uint32_t>(i.address);
    for (int l = 0; l < kLanes; ++l) {
      request.address[l] = base[l] + static_cast<uint32_t>(i.offset);
    }
  }
  return request;
}

// Into a register that is as wide as the element or wider.
void set_register(const Warp& w, const Instruction& i, uint16_t slot, int lane,
                  const uint8_t* from) {
  uint64_t value = 0;
  if (from == nullptr) {
    value = ~uint64_t{0};
  } else {
    std::memcpy(&value, from, i.bytes);
    if (i.is_signed && i.bytes < 8) {
      const int unused = 64 - 8 * i.bytes;
      value = static_cast<uint64_t>(static_cast<int64_t>(value << unused) >> unused);
    }
  }
  switch (i.register_bytes) {
    case 2:
      w.at<uint16_t>(slot)[lane] = static_cast<uint16_t>(value);
      break;
    case 4:
      w.at<uint32_t>(slot)[lane] = static_cast<uint32_t>(value);
      break;
    default:
      w.at<uint64_t>(slot)[lane] = value;
  }
}

const uint8_t* register_bytes_of(const Warp& w, const Instruction& i, uint16_t slot, int lane) {
  return w.at<uint8_t>(slot) + lane * i.register_bytes;
}

template <class T>
T atomic_result(uint8_t mode, T old, T a, T b) {
  switch (mode) {
    case kAdd:
      return old + a;
    case kMin:
      return std::min(old, a);
    case kMax:
      return std::max(old, a);
    case kExchange:
      return a;
    case kCompareSwap:
      return old == a ? b : old;
    case kIncrement:
      return old >= a ? T{0} : static_cast<T>(old + 1);
    case kDecrement:
      return old == 0 || old > a ? a : static_cast<T>(old - 1);
    default:
      break;
  }
  if constexpr (std::is_integral_v<T>) {
    if (mode == kAnd) return old & a;
    if (mode == kOr) return old | a;
    if (mode == kXor) return old ^ a;
  }
  return old;
}

template <class T>
uint64_t apply_atomic(uint8_t mode, uint8_t* at, uint64_t a_bits, uint64_t b_bits) {
  T old, a, b;
  std::memcpy(&old, at, sizeof old);
  std::memcpy(&a, &a_bits, sizeof a);
  std::memcpy(&b, &b_bits, sizeof b);
  const T result = atomic_result(mode, old, a, b);
  std::memcpy(at, &result, sizeof result);
  uint64_t bits = 0;
  std::memcpy(&bits, &old, sizeof old);
  return bits;
}

void land(Warp& w, int lane, const AsyncCopy& copy) {
  Machine& m = *w.machine;
  std::memset(m.shared.data() + copy.to, 0, copy.bytes);
  std::memcpy(m.shared.data() + copy.to, reinterpret_cast<const uint8_t*>(copy.from),
              copy.source_bytes);
  m.mark_write(w, lane, copy.to, copy.bytes);
}

}  // namespace

void run_load(Warp& w, const Instruction& i, uint32_t mask) {
  Request request = request_of(w, i, mask, Request::Kind::kRead);
  w.machine->access(w, request);
  if (i.bytes == 4 && i.register_bytes == 4) {
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
      const int lane = std::countr_zero(rest);
      const uint8_t* from = request.pointer[lane];
      for (int part = 0; part < i.parts; ++part) {
        uint32_t value = ~0U;
        if (from != nullptr) std::memcpy(&value, from + 4 * part, sizeof value);
        w.at<uint32_t>(i.r[part])[lane] = value;
      }
    }
    return;
  }
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint8_t* from = request.pointer[lane];
    for (int part = 0; part < i.parts; ++part) {
      set_register(w, i, i.r[part], lane, from == nullptr ? nullptr : from + part * i.bytes);
    }
  }
}

void run_store(Warp& w, const Instruction& i, uint32_t mask) {
  Request request = request_of(w, i, mask, Request::Kind::kWrite);
  w.machine->access(w, request);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    uint8_t* to = request.pointer[lane];
    if (to == nullptr) continue;
    for (int part = 0; part < i.parts; ++part) {
      std::memcpy(to + part * i.bytes, register_bytes_of(w, i, i.r[part], lane), i.bytes);
    }
  }
}

// Parameters of the kernel: the same for all threads.
void run_load_parameter(Warp& w, const Instruction& i, uint32_t mask) {
  const Machine& m = *w.machine;
  const auto* base = w.at<uint64_t>(i.address);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const uint64_t at = base[lane] + i.offset;
    for (int part = 0; part < i.parts; ++part) {
      const uint64_t begin = at + uint64_t{i.bytes} * part;
      const bool inside = begin + i.bytes <= m.program.parameter_bytes;
      if (!inside) {
        w.machine->report("out of bounds", w, lane,
                          "byte " + std::to_string(begin) + " of the kernel's parameters");
      }
      set_register(w, i, i.r[part], lane, inside ? m.parameters + begin : nullptr);
    }
  }
}

void run_atomic(Warp& w, const Instruction& i, uint32_t mask) {
  Request request = request_of(w, i, mask, Request::Kind::kAtomic);
  Machine& m = *w.machine;
  m.access(w, request);
  const auto start = static_cast<int>(m.random() % kLanes);  // no order of lanes is promised
  for (int n = 0; n < kLanes; ++n) {
    const int lane = (start + n) % kLanes;
    if (!(mask >> lane & 1)) continue;
    uint8_t* at = request.pointer[lane];
    uint64_t old = ~uint64_t{0};
    if (at != nullptr) {
      uint64_t a = 0, b = 0;
      std::memcpy(&a, register_bytes_of(w, i, i.r[1], lane), i.bytes);
      if (i.mode == kCompareSwap) std::memcpy(&b, register_bytes_of(w, i, i.r[2], lane), i.bytes);
      if (i.is_float) {
        old = i.bytes == 4 ? apply_atomic<float>(i.mode, at, a, b)
                           : apply_atomic<double>(i.mode, at, a, b);
      } else if (i.bytes == 8) {
        old = i.is_signed ? apply_atomic<int64_t>(i.mode, at, a, b)
                          : apply_atomic<uint64_t>(i.mode, at, a, b);
      } else if (i.bytes == 4) {
        old = i.is_signed ? apply_atomic<int32_t>(i.mode, at, a, b)
                          : apply_atomic<uint32_t>(i.mode, at, a, b);
      } else {
        old = apply_atomic<uint16_t>(i.mode, at, a, b);
      }
    }
    if (i.r[0] != 0) std::memcpy(w.at<uint8_t>(i.r[0]) + lane * i.register_bytes, &old, i.bytes);
  }
}

// From global to shared memory. The bytes land when the thread waits for them; until then the
// target counts as not written, and every access to it is a race.
void run_copy_async(Warp& w, const Instruction& i, uint32_t mask) {
  Machine& m = *w.machine;
  Request from, to;
  from.mask = to.mask = mask;
  from.bytes = to.bytes = i.bytes;
  from.space = Space::kGlobal;
  to.space = Space::kShared;
  to.kind = Request::Kind::kWrite;
  const auto* shared_base = w.at<uint8_t>(i.address);
  const auto* size = i.r[2] == 0 ? nullptr : w.at<uint32_t>(i.r[2]);
  std::array<uint8_t, kLanes> source_bytes;
  for (int l = 0; l < kLanes; ++l) {
    uint64_t base = 0;
    std::memcpy(&base, shared_base + l * i.address_bytes, i.address_bytes);
    to.address[l] = base + i.offset;
    from.address[l] = w.at<uint64_t>(i.r[0])[l] + static_cast<int64_t>(i.target);
    source_bytes[l] =
        size == nullptr ? i.bytes : static_cast<uint8_t>(std::min<uint32_t>(size[l], i.bytes));
    if (source_bytes[l] == 0) from.mask &= ~(1U << l);
  }
  m.access(w, from);
  m.access(w, to);
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    if (to.pointer[lane] == nullptr) continue;
    std::memset(to.pointer[lane], 0xff, i.bytes);
    const auto address = static_cast<uint32_t>(to.pointer[lane] - m.shared.data());
    std::memset(m.shared_state.data() + address, kAllocated, i.bytes);
    if (w.copies[lane].empty()) w.copies[lane].emplace_back();
    const bool refused = source_bytes[lane] > 0 && from.pointer[lane] == nullptr;
    w.copies[lane].back().push_back(
        {address, from.address[lane], i.bytes, refused ? uint8_t{0} : source_bytes[lane]});
  }
}

void run_commit_group(Warp& w, const Instruction&, uint32_t mask) {
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1)) continue;
    if (w.copies[lane].empty()) w.copies[lane].emplace_back();
    w.copies[lane].emplace_back();
  }
}

// mode: groups that may stay open; 0xff waits for all copies, committed or not.
void run_wait_group(Warp& w, const Instruction& i, uint32_t mask) {
  for (int lane = 0; lane < kLanes; ++lane) {
    auto& groups = w.copies[lane];
    if (!(mask >> lane & 1) || groups.empty()) continue;
    const bool all = i.mode == 0xff;
    const size_t committed = groups.size() - 1;
    size_t n = all ? groups.size() : committed - std::min<size_t>(committed, i.mode);
    for (size_t g = 0; g < n; ++g) {
      for (const AsyncCopy& copy : groups[g]) land(w, lane, copy);
    }
    groups.erase(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(n));
    if (groups.empty()) groups.emplace_back();
  }
}

// mode 0: to a generic address, 1: from one.
void run_cvta(Warp& w, const Instruction& i, uint32_t mask) {
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    uint64_t address = w.at<uint64_t>(i.r[1])[lane];
    const uint64_t thread = uint64_t{w.index} * kLanes + lane;
    const uint64_t window = i.space == Space::kShared  ? kSharedWindow
                            : i.space == Space::kLocal ? kLocalWindow | thread << kThreadShift
                                                       : 0;
    w.at<uint64_t>(i.r[0])[lane] = i.mode == 0 ? address + window : address - window;
  }
}

}  // namespace kvbench::ptx
