// Which accesses conflict, and whether a barrier lies between them.
#include <bit>

#include "kernels/ptx/machine.h"

namespace kvbench::ptx {

// Whether the earlier access, in the same launch, is ordered before this lane's next one.
bool Machine::ordered(const Warp& warp, int lane, Reference earlier) const {
  const Access& a = log_of(earlier);
  const int other = static_cast<int>(earlier % kLanes);
  if (a.block != block_index) return false;
  if (a.clock < barrier_time) return true;
  if (a.warp == warp.index && other == lane) return true;
  if (!seen.empty()) {
    return seen[warp.index * kLanes + lane][a.warp * kLanes + other] >= a.clock;
  }
  return a.warp == warp.index && warp.synced && warp.seen[lane][other] >= a.clock;
}

void Machine::race(const Watched& access, Reference earlier, const char* what) {
  const Access& a = log_of(earlier);
  const bool blocks = a.block != block_index;
  report(blocks ? "race between blocks" : "race in a block", access.warp, access.lane,
         what + (blocks ? "block " + std::to_string(a.block)
                        : "thread " + std::to_string(a.warp * kLanes + earlier % kLanes)),
         earlier);
}

// Reports the first of `with` that is not ordered before the access.
void Machine::conflict(const Watched& access, const Accessors& with, const char* what) {
  const auto there = [&](Reference r) { return (r >> 5) >= access.first; };
  const auto races = [&](Reference r) {
    if (!there(r) || ordered(access.warp, access.lane, r)) return false;
    race(access, r, what);
    return true;
  };
  if (!there(with.latest)) return;
  if (program.partial_barriers) {
    for (const Reference r : exact[&with]) {
      if (races(r)) return;
    }
    return;
  }
  for (uint32_t rest = with.lanes; rest != 0; rest &= rest - 1) {
    if (races((with.latest & ~31U) | static_cast<uint32_t>(std::countr_zero(rest)))) return;
  }
  races(with.other);
}

void Machine::join(const Watched& access, Accessors& to) {
  const auto there = [&](Reference r) { return (r >> 5) >= access.first; };
  const uint32_t bit = 1U << access.lane;
  if (program.partial_barriers) {
    auto& all = exact[&to];
    std::erase_if(all,
                  [&](Reference r) { return !there(r) || ordered(access.warp, access.lane, r); });
    all.push_back(access.now);
  } else if (!there(to.latest)) {
    to = {access.now, 0, bit};
    return;
  } else if ((to.latest >> 5) == (access.now >> 5)) {
    to.lanes |= bit;
    return;
  } else {
    const Access& a = log_of(to.latest);
    if (ordered(access.warp, access.lane, to.latest) && a.clock < access.warp.clock[access.lane]) {
      // Behind a barrier of all that joined in this block; another block's stays.
      if (there(to.other) && log_of(to.other).block == block_index) to.other = 0;
      to.lanes = bit;
    } else if (a.block == block_index && a.warp == access.warp.index) {
      to.lanes |= bit;
    } else {
      if (!there(to.other) || log_of(to.other).block == block_index) to.other = to.latest;
      if (a.block != block_index) to.other = to.latest;
      to.lanes = bit;
    }
  }
  to.latest = access.now;
}

void Machine::watch(const Watched& access, Cell& cell, Accessors& atomics) {
  const auto there = [&](Reference r) { return (r >> 5) >= access.first; };
  const bool reads = access.kind == Request::Kind::kRead;
  if (there(cell.writer)) {
    if (access.non_coherent) {
      report("write to memory that ld.global.nc reads", access.warp, access.lane,
             "written earlier in the launch", cell.writer);
    }
    if (!ordered(access.warp, access.lane, cell.writer)) {
      race(access, cell.writer,
           reads ? "reads what was written by " : "writes what was written by ");
    }
  }
  if (!reads) {
    conflict(access, cell.readers, "writes what was read by ");
    if (there(cell.readers.latest) && log_of(cell.readers.latest).non_coherent) {
      report("write to memory that ld.global.nc reads", access.warp, access.lane,
             "read earlier in the launch", cell.readers.latest);
    }
  }
  if (program.atomics && access.kind != Request::Kind::kAtomic) {
    conflict(access, atomics, reads ? "reads what was changed by " : "writes what was changed by ");
  }
  switch (access.kind) {
    case Request::Kind::kRead:
      join(access, cell.readers);
      break;
    case Request::Kind::kAtomic:
      join(access, atomics);
      break;
    case Request::Kind::kWrite:
      cell = {access.now, {}};
      if (program.atomics) atomics = {};
  }
}

}  // namespace kvbench::ptx
