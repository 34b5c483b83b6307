// Device memory, and what is watched of every access to it.
#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "kernels/ptx/machine.h"

namespace kvbench::ptx {
namespace {

constexpr uint64_t kRedZone = 256;

// Reserved addresses: a page costs memory once it is touched.
template <class T>
T* reserve(uint64_t n) {
  void* p = mmap(nullptr, n * sizeof(T), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  return static_cast<T*>(p);
}

bool all_are(const uint8_t* states, uint32_t n, uint8_t wanted) {
  uint8_t same = 0xff;
  for (uint32_t i = 0; i < n; ++i) same &= states[i];
  return (same & wanted) == wanted;
}

}  // namespace

Arena::Arena()
    : memory_(reserve<uint8_t>(kBytes)),
      states_(reserve<uint8_t>(kBytes)),
      cells_(reserve<Cell>(kBytes)),
      atomics_(reserve<Accessors>(kBytes)),
      stamps_(reserve<uint32_t>(kBytes / 32 * 4)) {}

uint8_t* Arena::place(uint64_t& top, uint64_t end, uint64_t bytes, const std::string& name) {
  if (bytes > kBytes || top + bytes + 2 * kRedZone > end) return nullptr;
  const uint64_t offset = top;
  allocations_[offset] = {bytes, true, name};
  std::memset(memory_ + offset, 0xff, bytes);
  std::memset(states_ + offset, kAllocated, bytes);
  top = (offset + bytes + 2 * kRedZone - 1) / kRedZone * kRedZone;
  return memory_ + offset;
}

uint8_t* Arena::allocate(uint64_t bytes) {
  if (live_ == 0 && top_ - kVariables > (uint64_t{64} << 20)) {
    allocations_.erase(allocations_.lower_bound(kVariables), allocations_.end());
    std::memset(states_ + kVariables, kNowhere, top_ - kVariables);
    top_ = kVariables;
  }
  uint8_t* at = place(top_, kBytes, bytes, "allocation " + std::to_string(n_++));
  if (at != nullptr) ++live_;
  return at;
}

uint8_t* Arena::allocate_variable(uint64_t bytes, const std::string& name) {
  return place(variables_top_, kVariables, bytes, name);
}

bool Arena::free(void* pointer) {
  const uint64_t offset = static_cast<uint8_t*>(pointer) - memory_;
  const auto found = allocations_.find(offset);
  if (offset < kVariables || found == allocations_.end() || !found->second.live) return false;
  found->second.live = false;
  std::memset(states_ + offset, kFreed, found->second.bytes);
  std::memset(memory_ + offset, 0xff, found->second.bytes);
  --live_;
  return true;
}

void Arena::forget_accesses() {
  madvise(cells_, kBytes * sizeof(Cell), MADV_DONTNEED);
  madvise(atomics_, kBytes * sizeof(Accessors), MADV_DONTNEED);
}

std::string Arena::describe(uint64_t address) const {
  const uint64_t offset = address - base();
  auto next = allocations_.upper_bound(offset);
  if (next == allocations_.begin()) return "before every allocation";
  const auto& [start, a] = *std::prev(next);
  const std::string name =
      a.name + " (" + std::to_string(a.bytes) + " bytes" + (a.live ? ")" : ", freed)");
  if (offset < start + a.bytes) return "byte " + std::to_string(offset - start) + " of " + name;
  if (next != allocations_.end() && next->first - offset < kRedZone / 2) {
    return std::to_string(next->first - offset) + " bytes before " + next->second.name;
  }
  return std::to_string(offset - start - a.bytes) + " bytes behind the end of " + name;
}

void Machine::access(Warp& warp, Request& request) {
  const uint32_t bytes = request.bytes;
  const bool write = request.kind != Request::Kind::kRead;
  const bool read = request.kind != Request::Kind::kWrite;
  const Instruction& instruction = program.code[warp.pc];
  Access access{block_index,
                warp.pc,
                0,
                static_cast<uint16_t>(warp.index),
                request.kind == Request::Kind::kAtomic,
                instruction.non_coherent};
  Reference now = 0;
  if (request.space == Space::kGlobal) count_sectors(request);
  if (request.space == Space::kShared) count_wavefronts(request);
  for (uint32_t rest = request.mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    uint64_t address = request.address[lane];
    Space space = request.space;
    request.pointer[lane] = nullptr;
    if (space == Space::kGeneric) {
      const uint64_t window = address & kWindowMask;
      space = window == kSharedWindow  ? Space::kShared
              : window == kLocalWindow ? Space::kLocal
                                       : Space::kGlobal;
      if (space == Space::kShared) address -= kSharedWindow;
      if (space == Space::kLocal) {
        const uint64_t owner = (address - kLocalWindow) >> kThreadShift;
        if (owner != warp.index * kLanes + lane) {
          report("wild pointer", warp, lane, "local memory of thread " + std::to_string(owner));
          continue;
        }
        address &= (uint64_t{1} << kThreadShift) - 1;
      }
    }
    if (address % bytes != 0) {
      report("misaligned", warp, lane,
             "address " + std::to_string(address) + " is no multiple of " + std::to_string(bytes));
      continue;
    }
    if (space == Space::kLocal) {
      if (address + bytes > program.local_bytes) {
        report("out of bounds", warp, lane,
               "byte " + std::to_string(address) + " of " + std::to_string(program.local_bytes) +
                   " of local memory");
        continue;
      }
      request.pointer[lane] =
          local.data() + (uint64_t{warp.index} * kLanes + lane) * program.local_bytes + address;
      continue;
    }
    uint8_t* states;
    Cell* cells;
    Accessors* atomics;
    uint32_t shift, first;
    uint64_t offset;
    if (space == Space::kShared) {
      if (address + bytes > shared.size() || address >= shared.size()) {
        report("out of bounds", warp, lane, describe_shared(address));
        continue;
      }
      states = shared_state.data() + address;
      cells = shared_cells.data();
      atomics = shared_atomics.data();
      shift = shared_shift;
      first = first_shared;
      offset = address;
      request.pointer[lane] = shared.data() + address;
    } else {
      if (!arena.contains(address, bytes)) {
        report("wild pointer", warp, lane, "not device memory");
        continue;
      }
      states = arena.state(address);
      cells = arena.cells();
      atomics = arena.atomics();
      shift = global_shift;
      first = first_access;
      offset = address - arena.base();
      request.pointer[lane] = reinterpret_cast<uint8_t*>(address);
    }
    if (!all_are(states, bytes, read ? kWritten : kAllocated)) {
      const bool there = all_are(states, bytes, kAllocated);
      report(there                                                            ? "uninitialised read"
             : (states[0] & kFreed) != 0 || (states[bytes - 1] & kFreed) != 0 ? "use after free"
                                                                              : "out of bounds",
             warp, lane,
             space == Space::kShared ? describe_shared(address) : arena.describe(address));
      if (!there) {
        request.pointer[lane] = nullptr;
        continue;
      }
    }
    if (space == Space::kGlobal && request.space == Space::kConstant) continue;  // never written
    if (request.space == Space::kConstant) continue;
    if (now == 0 || warp.clock[lane] != access.clock) {
      access.clock = warp.clock[lane];
      log.push_back(access);
      now = (first_access + static_cast<uint32_t>(log.size()) - 1) << 5;
    }
    for (uint64_t c = offset >> shift; c <= (offset + bytes - 1) >> shift; ++c) {
      watch({warp, lane, request.kind, now | static_cast<uint32_t>(lane), first,
             instruction.non_coherent},
            cells[c], atomics[c]);
    }
    if (write) std::memset(states, kWritten, bytes);
  }
}

// "byte 4 of s (128 bytes)", "0 bytes behind the end of s (128 bytes)"
std::string Machine::describe_shared(uint64_t address) const {
  std::string name = "the dynamic shared memory";
  uint64_t at = program.shared_span, bytes = shared.size() - program.shared_span;
  for (size_t n = 0; n < program.shared.size() && address < program.shared_span; ++n) {
    if (address < program.shared_at[n] && n > 0) break;
    name = program.shared[n].name;
    at = program.shared_at[n];
    bytes = program.shared[n].bytes;
  }
  name += " (" + std::to_string(bytes) + " bytes)";
  if (address < at) return "before " + name;
  if (address < at + bytes) return "byte " + std::to_string(address - at) + " of " + name;
  return std::to_string(address - at - bytes) + " bytes behind the end of " + name;
}

// cp.async lands: a write by the lane that waited.
void Machine::mark_write(Warp& warp, int lane, uint32_t address, uint32_t bytes) {
  const Access access{block_index, warp.pc, warp.clock[lane], static_cast<uint16_t>(warp.index),
                      false,       false};
  log.push_back(access);
  const Reference now = (first_access + static_cast<uint32_t>(log.size()) - 1) << 5;
  for (uint32_t c = address >> shared_shift; c <= (address + bytes - 1) >> shared_shift; ++c) {
    watch(
        {warp, lane, Request::Kind::kWrite, now | static_cast<uint32_t>(lane), first_shared, false},
        shared_cells[c], shared_atomics[c]);
  }
  std::memset(shared_state.data() + address, kWritten, bytes);
}

void Machine::count_sectors(const Request& request) {
  std::array<uint64_t, kLanes> sectors;
  size_t n = 0;
  uint64_t asked = 0;
  bool ascending = true;
  for (uint32_t rest = request.mask; rest != 0; rest &= rest - 1) {
    const uint64_t address = request.address[std::countr_zero(rest)];
    asked += request.bytes;
    if (!arena.contains(address, request.bytes)) continue;
    const uint64_t sector = address / 32;
    if (n > 0 && sector == sectors[n - 1]) continue;
    if (n > 0 && sector < sectors[n - 1]) ascending = false;
    sectors[n++] = sector;
  }
  if (!ascending) {
    std::sort(sectors.begin(), sectors.begin() + n);
    n = std::unique(sectors.begin(), sectors.begin() + n) - sectors.begin();
  }
  const auto count = [&](MemoryCounters& memory, int which) {
    ++memory.requests;
    memory.asked_bytes += asked;
    memory.sectors += n;
    for (size_t i = 0; i < n; ++i) {
      uint32_t* stamp = arena.sector_stamp(sectors[i] * 32, which);
      if (stamp[0] != block_stamp) ++memory.block_distinct_sectors;
      if (stamp[1] != launch_stamp) ++memory.launch_distinct_sectors;
      stamp[0] = block_stamp;
      stamp[1] = launch_stamp;
    }
  };
  if (request.kind != Request::Kind::kWrite) count(counted.loads, 0);
  if (request.kind != Request::Kind::kRead) count(counted.stores, 2);
}

// 32 banks of 4 bytes; accesses of 8 and 16 bytes go in 2 and 4 phases of the warp.
void Machine::count_wavefronts(const Request& request) {
  const int phases = request.bytes <= 4 ? 1 : static_cast<int>(request.bytes) / 4;
  const int lanes = kLanes / phases;
  ++counted.shared_requests;
  for (int phase = 0; phase < phases; ++phase) {
    std::array<std::array<uint64_t, kLanes>, 32> words;
    std::array<uint8_t, 32> n = {};
    uint8_t most = 0;
    for (int lane = phase * lanes; lane < (phase + 1) * lanes; ++lane) {
      if (!(request.mask >> lane & 1)) continue;
      for (uint32_t byte = 0; byte < request.bytes; byte += 4) {
        const uint64_t word = (request.address[lane] + byte) / 4;
        auto& bank = words[word % 32];
        uint8_t& used = n[word % 32];
        if (std::find(bank.begin(), bank.begin() + used, word) != bank.begin() + used) continue;
        bank[used++] = word;
        most = std::max(most, used);
      }
    }
    counted.shared_wavefronts += most;
    counted.shared_ideal_wavefronts += most > 0;
  }
}

}  // namespace kvbench::ptx
