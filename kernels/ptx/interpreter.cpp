// Runs a launch: a block at a time, in each block the warps in slices, in each warp the lanes with
// the lowest program counter together. Orders are random, of the seed.
#include <algorithm>
#include <bit>
#include <numeric>

#include "kernels/ptx/machine.h"

namespace kvbench::ptx {
namespace {

uint32_t shift_of(uint32_t granule) { return static_cast<uint32_t>(std::countr_zero(granule)); }

uint32_t special_value(const Machine& m, uint32_t thread, const std::string& name) {
  const uint32_t lane = thread % kLanes;
  const auto part = [&](Dim d) {
    return name.back() == 'x' ? d.x : name.back() == 'y' ? d.y : d.z;
  };
  if (name.starts_with("%tid")) {
    return part(
        {thread % m.block.x, thread / m.block.x % m.block.y, thread / m.block.x / m.block.y});
  }
  if (name.starts_with("%ntid")) return part(m.block);
  if (name.starts_with("%ctaid")) return part(m.block_at);
  if (name.starts_with("%nctaid")) return part(m.grid);
  if (name == "%laneid") return lane;
  if (name == "%warpid") return thread / kLanes;
  if (name == "%nwarpid") return static_cast<uint32_t>(m.warps.size());
  if (name == "%lanemask_eq") return 1U << lane;
  if (name == "%lanemask_lt") return (1U << lane) - 1;
  if (name == "%lanemask_le") return (2U << lane) - 1;
  if (name == "%lanemask_gt") return ~((2U << lane) - 1);
  if (name == "%lanemask_ge") return ~((1U << lane) - 1);
  if (name == "%dynamic_smem_size") {
    return static_cast<uint32_t>(m.shared.size()) - m.program.shared_span;
  }
  return static_cast<uint32_t>(m.shared.size()) - m.program.shared_span +
         m.program.shared_bytes;  // %total_smem_size
}

}  // namespace

Machine::Machine(Program& p, Arena& a, Dim grid_dim, Dim block_dim, uint32_t dynamic_shared_bytes,
                 const uint8_t* parameter_bytes, uint64_t seed)
    : program(p),
      arena(a),
      grid(grid_dim),
      block(block_dim),
      parameters(parameter_bytes),
      random(seed),
      n_threads(block.x * block.y * block.z),
      global_shift(shift_of(p.global_granule)),
      shared_shift(shift_of(p.shared_granule)) {
  const uint32_t n_warps = (n_threads + kLanes - 1) / kLanes;
  shared.resize(p.shared_span + dynamic_shared_bytes);
  shared_fresh.resize(shared.size(), kAllocated);
  std::fill_n(shared_fresh.begin(), p.shared_span, kNowhere);
  for (size_t n = 0; n < p.shared.size(); ++n) {
    std::fill_n(shared_fresh.begin() + p.shared_at[n], p.shared[n].bytes, kAllocated);
  }
  shared_cells.resize((shared.size() >> shared_shift) + 1);
  shared_atomics.resize(shared_cells.size());
  local.resize(uint64_t{n_warps} * kLanes * p.local_bytes);
  if (p.named_barriers) {
    seen.assign(n_warps * kLanes, std::vector<uint32_t>(n_warps * kLanes, 0));
  }
  warps.resize(n_warps);
  const uint64_t bytes = uint64_t{p.n_slots} * kSlotBytes;
  register_file.resize(bytes * n_warps + kSlotBytes);
  const auto aligned =
      (reinterpret_cast<uint64_t>(register_file.data()) + kSlotBytes - 1) / kSlotBytes * kSlotBytes;
  for (uint32_t n = 0; n < n_warps; ++n) {
    warps[n].machine = this;
    warps[n].index = n;
    warps[n].registers = reinterpret_cast<uint8_t*>(aligned + n * bytes);
  }
}

void Machine::run() {
  std::vector<uint32_t> order(uint64_t{grid.x} * grid.y * grid.z);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  for (const uint32_t index : order) {
    block_index = index;
    block_at = {index % grid.x, index / grid.x % grid.y, index / grid.x / grid.y};
    run_block();
  }
}

void Machine::start_block() {
  ++block_stamp;
  first_shared = first_access + static_cast<uint32_t>(log.size());
  barrier_time = ++clock;
  std::fill(shared.begin(), shared.end(), 0xff);
  shared_state = shared_fresh;
  std::fill(local.begin(), local.end(), 0xff);
  barriers = {};
  for (auto& row : seen) std::fill(row.begin(), row.end(), barrier_time - 1);
  for (Warp& w : warps) {
    const uint32_t lanes = std::min<uint32_t>(kLanes, n_threads - w.index * kLanes);
    w.live = lanes == kLanes ? kAll : (1U << lanes) - 1;
    w.groups.assign(1, {program.entry, w.live, Wait::kNone, 0});
    w.clock.fill(clock);
    w.synced = false;
    for (auto& copies : w.copies) copies.clear();
    std::memset(w.registers, 0xff, uint64_t{program.n_slots} * kSlotBytes);
    for (const Constant& c : program.constants) {
      for (int l = 0; l < kLanes; ++l) {
        std::memcpy(w.at<uint8_t>(c.slot) + l * c.bytes, &c.value, c.bytes);
      }
    }
    for (const Special& s : program.specials) {
      for (uint32_t l = 0; l < kLanes; ++l) {
        const uint64_t value = special_value(*this, w.index * kLanes + l, s.name);
        std::memcpy(w.at<uint8_t>(s.slot) + l * s.bytes, &value, s.bytes);
      }
    }
  }
}

void Machine::run_block() {
  start_block();
  std::vector<uint32_t> order(warps.size());
  std::iota(order.begin(), order.end(), 0);
  while (live_threads() > 0) {
    std::shuffle(order.begin(), order.end(), random);
    bool moved = false;
    for (const uint32_t n : order) {
      if (warps[n].live != 0) moved |= run_warp(warps[n], 1 + static_cast<int>(random() % 256));
    }
    check_barriers();
    if (!moved) {
      bool free = false;
      for (const Warp& w : warps) {
        for (const Group& g : w.groups) free |= g.wait == Wait::kNone;
      }
      if (!free) deadlock();
    }
    if (n_steps > step_limit) {
      report("no end", warps[order[0]], 0, std::to_string(n_steps) + " thread steps");
      throw Stop{};
    }
  }
}

uint32_t Machine::live_threads() const {
  uint32_t n = 0;
  for (const Warp& w : warps) n += static_cast<uint32_t>(std::popcount(w.live));
  return n;
}

// Returns whether anything ran.
bool Machine::run_warp(Warp& w, int budget) {
  bool moved = false;
  while (budget > 0 && w.live != 0) {
    // The free lanes with the lowest program counter; those that wait there for others of their
    // mask may go on with them.
    size_t at = w.groups.size();
    for (size_t n = 0; n < w.groups.size(); ++n) {
      if (w.groups[n].wait == Wait::kNone &&
          (at == w.groups.size() || w.groups[n].pc < w.groups[at].pc)) {
        at = n;
      }
    }
    if (at == w.groups.size()) return moved;
    uint32_t limit = ~0U;
    for (size_t n = 0; n < w.groups.size();) {
      Group& other = w.groups[n];
      if (n == at || other.wait == Wait::kBarrier) {
        ++n;
      } else if (other.pc == w.groups[at].pc) {
        w.groups[at].mask |= other.mask;
        w.groups.erase(w.groups.begin() + static_cast<std::ptrdiff_t>(n));
        if (n < at) --at;
      } else {
        if (other.pc > w.groups[at].pc) limit = std::min(limit, other.pc);
        ++n;
      }
    }
    moved = true;
    uint32_t pc = w.groups[at].pc;
    const uint32_t lanes = w.groups[at].mask;
    const auto n_lanes = static_cast<uint64_t>(std::popcount(lanes));
    bool flow = false;
    while (budget > 0 && pc < limit) {
      const Instruction& i = program.code[pc];
      if (i.flow != Flow::kPlain) {
        flow = true;
        break;
      }
      uint32_t mask = lanes;
      if (i.guard != 0) {
        const uint32_t p = *w.at<uint32_t>(i.guard);
        mask &= i.guard_negated ? ~p : p;
      }
      InstructionCount& count = program.counts[pc];
      ++count.warps;
      if (mask != 0) {
        count.lanes += static_cast<uint64_t>(std::popcount(mask));
        w.pc = pc;
        i.run(w, i, mask);
      }
      n_steps += n_lanes;
      ++pc;
      --budget;
    }
    w.groups[at].pc = pc;
    if (flow) {
      const Instruction& i = program.code[pc];
      uint32_t mask = lanes;
      if (i.guard != 0) {
        const uint32_t p = *w.at<uint32_t>(i.guard);
        mask &= i.guard_negated ? ~p : p;
      }
      w.pc = pc;
      n_steps += n_lanes;
      step_flow(w, at, mask);
      --budget;
    }
  }
  return moved;
}

// The instruction of a group that may split it, end it or make it wait. `mask`: the lanes whose
// guard holds.
void Machine::step_flow(Warp& w, size_t at, uint32_t mask) {
  const uint32_t pc = w.groups[at].pc;
  const Instruction& i = program.code[pc];
  InstructionCount& count = program.counts[pc];
  const auto passed = [&](uint32_t lanes) {
    ++count.warps;
    count.lanes += static_cast<uint64_t>(std::popcount(lanes));
  };
  // Lanes of the group go elsewhere; the rest goes on behind the instruction.
  const auto send = [&](uint32_t lanes, uint32_t target) {
    if (lanes == 0) return;
    w.groups[at].mask &= ~lanes;
    for (Group& g : w.groups) {
      if (g.wait == Wait::kNone && g.pc == target && &g != &w.groups[at]) {
        g.mask |= lanes;
        return;
      }
    }
    w.groups.push_back({target, lanes, Wait::kNone, 0});
  };
  const auto finish = [&] {
    w.groups[at].pc = pc + 1;
    if (w.groups[at].mask == 0) w.groups.erase(w.groups.begin() + static_cast<std::ptrdiff_t>(at));
  };

  switch (i.flow) {
    case Flow::kBranch:
      passed(mask);
      if (mask == w.groups[at].mask) {
        w.groups[at].pc = i.target;
        return;
      }
      send(mask, i.target);
      return finish();
    case Flow::kBranchTable: {
      passed(mask);
      const auto* index = w.at<uint32_t>(i.r[0]);
      for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
        const int lane = std::countr_zero(rest);
        if (index[lane] >= i.table.size()) {
          report("wild branch", w, lane, "entry " + std::to_string(index[lane]));
          throw Stop{};
        }
        send(1U << lane, i.table[index[lane]]);
      }
      return finish();
    }
    case Flow::kCall: {
      passed(mask);
      auto* back = w.at<uint32_t>(i.members);
      for (uint32_t rest = mask; rest != 0; rest &= rest - 1) back[std::countr_zero(rest)] = pc + 1;
      run_copy_local(w, i, mask);
      send(mask, i.target);
      return finish();
    }
    case Flow::kReturn: {
      passed(mask);
      const auto* back = w.at<uint32_t>(i.members);
      for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
        const int lane = std::countr_zero(rest);
        send(1U << lane, back[lane]);
      }
      return finish();
    }
    case Flow::kExit: {
      passed(mask);
      w.live &= ~mask;
      w.groups[at].mask &= ~mask;
      for (int lane = 0; lane < kLanes; ++lane) {
        if (!(mask >> lane & 1)) continue;
        for (const auto& group : w.copies[lane]) {
          if (!group.empty()) {
            report("cp.async never waited for", w, lane, "the thread ends before");
            break;
          }
        }
        w.copies[lane].clear();
      }
      finish();
      for (Group& g : w.groups) {  // their masks have fewer live lanes now
        if (g.wait == Wait::kMembers) g.wait = Wait::kNone;
      }
      return;
    }
    case Flow::kBarrier: {
      const uint32_t rest = w.groups[at].mask & ~mask;
      if (rest != 0) {
        w.groups[at].mask = mask;
        w.groups.push_back({pc + 1, rest, Wait::kNone, 0});
      }
      if (mask == 0) return finish();
      passed(mask);
      return arrive(w, at, i, mask);
    }
    case Flow::kWarpWide: {
      const auto* members = w.at<uint32_t>(i.members);
      uint32_t ready = 0;
      for (uint32_t lanes = mask; lanes != 0; lanes &= lanes - 1) {
        const int lane = std::countr_zero(lanes);
        if (!(members[lane] >> lane & 1)) {
          report("lane not in its mask", w, lane, "mask " + std::to_string(members[lane]));
          throw Stop{};
        }
        if ((members[lane] & w.live & ~mask) == 0) ready |= 1U << lane;
      }
      const uint32_t waiting = mask & ~ready, passing = w.groups[at].mask & ~mask;
      if (ready != 0) {
        passed(ready);
        i.run(w, i, ready);
      }
      if (waiting == 0) {
        w.groups[at].pc = pc + 1;
        return;
      }
      w.groups[at] = {pc, waiting, Wait::kMembers, 0};
      if ((ready | passing) != 0) w.groups.push_back({pc + 1, ready | passing, Wait::kNone, 0});
      return;
    }
    case Flow::kPlain:
      return;
  }
}

// bar.sync and bar.red: the lanes wait; check_barriers() lets them go.
void Machine::arrive(Warp& w, size_t at, const Instruction& i, uint32_t mask) {
  const int first = std::countr_zero(mask);
  const uint32_t id = w.at<uint32_t>(i.r[0])[first];
  const uint32_t expected = i.r[1] == 0 ? 0 : w.at<uint32_t>(i.r[1])[first];
  if (id >= barriers.size() || expected % kLanes != 0) {
    report("wrong barrier", w, first,
           "barrier " + std::to_string(id) + " of " + std::to_string(expected) + " threads");
    throw Stop{};
  }
  Barrier& barrier = barriers[id];
  if (barrier.arrived == 0) {
    barrier.code = w.pc;
    barrier.expected = expected;
  } else if (barrier.code != w.pc) {
    report("different barriers met", w, first, "the other is at " + place(barrier.code));
  }
  barrier.arrived += static_cast<uint32_t>(std::popcount(mask));
  w.groups[at].mask = mask;
  w.groups[at].wait = Wait::kBarrier;
  w.groups[at].barrier = static_cast<uint8_t>(id);
  if (barrier.expected != 0 && barrier.arrived >= barrier.expected) {
    if (barrier.arrived > barrier.expected) {
      report("wrong barrier", w, first, "more threads than the barrier is of");
    }
    release(id);
  }
}

void Machine::check_barriers() {
  for (uint32_t id = 0; id < barriers.size(); ++id) {
    const Barrier& b = barriers[id];
    if (b.arrived == 0) continue;
    const uint32_t live = live_threads();
    if (b.arrived != (b.expected == 0 ? live : b.expected)) continue;
    if (b.expected == 0 && live != n_threads) {
      for (Warp& w : warps) {
        for (const Group& g : w.groups) {
          if (g.wait != Wait::kBarrier || g.barrier != id) continue;
          w.pc = g.pc;
          report("barrier behind threads that returned", w, std::countr_zero(g.mask),
                 std::to_string(n_threads - live) + " threads of the block are gone");
          break;
        }
      }
    }
    release(id);
  }
}

void Machine::release(uint32_t id) {
  const Instruction& i = program.code[barriers[id].code];
  uint32_t n_true = 0;  // of bar.red's predicate
  const auto votes = [&](const Warp& w, const Instruction& at) {
    return *w.at<uint32_t>(at.r[3]) ^ (at.negated ? kAll : 0);
  };
  if (i.mode != 0) {
    for (const Warp& w : warps) {
      for (const Group& g : w.groups) {
        if (g.wait == Wait::kBarrier && g.barrier == id) {
          n_true += static_cast<uint32_t>(std::popcount(votes(w, program.code[g.pc]) & g.mask));
        }
      }
    }
  }
  if (barriers[id].expected == 0 || barriers[id].arrived == n_threads) {
    sync_block();
  } else {
    sync_named(id);
  }
  for (Warp& w : warps) {
    for (Group& g : w.groups) {
      if (g.wait != Wait::kBarrier || g.barrier != id) continue;
      const Instruction& at = program.code[g.pc];
      if (at.mode == 1) {
        for (int l = 0; l < kLanes; ++l) {
          if (g.mask >> l & 1) w.at<uint32_t>(at.r[2])[l] = n_true;
        }
      } else if (at.mode != 0) {
        const bool yes = at.mode == 2 ? n_true == barriers[id].arrived : n_true != 0;
        auto* p = w.at<uint32_t>(at.r[2]);
        *p = (*p & ~g.mask) | (yes ? g.mask : 0);
      }
      g.wait = Wait::kNone;
      ++g.pc;
    }
  }
  barriers[id] = {};
}

// All threads of the block meet: everything before is ordered before everything behind.
void Machine::sync_block() {
  barrier_time = ++clock;
  for (Warp& w : warps) {
    w.clock.fill(clock);
    w.synced = false;
  }
  for (auto& row : seen) std::fill(row.begin(), row.end(), clock - 1);
}

// Some of the threads meet.
void Machine::sync_named(uint32_t id) {
  const uint32_t now = clock++;  // accesses up to now are ordered
  std::vector<uint32_t> threads;
  for (const Warp& w : warps) {
    for (const Group& g : w.groups) {
      if (g.wait != Wait::kBarrier || g.barrier != id) continue;
      for (uint32_t rest = g.mask; rest != 0; rest &= rest - 1) {
        threads.push_back(w.index * kLanes + static_cast<uint32_t>(std::countr_zero(rest)));
      }
    }
  }
  std::vector<uint32_t> joined(seen.size(), 0);
  for (const uint32_t t : threads) {
    for (size_t n = 0; n < joined.size(); ++n) joined[n] = std::max(joined[n], seen[t][n]);
  }
  for (const uint32_t t : threads) joined[t] = now;
  for (const uint32_t t : threads) {
    seen[t] = joined;
    warps[t / kLanes].clock[t % kLanes] = clock;
  }
}

// bar.warp.sync: lanes of a warp meet.
void Machine::sync_lanes(Warp& w, uint32_t mask) {
  const uint32_t now = clock++;
  if (!seen.empty()) {
    std::vector<uint32_t> joined(seen.size(), 0);
    for (int l = 0; l < kLanes; ++l) {
      if (!(mask >> l & 1)) continue;
      const auto& row = seen[w.index * kLanes + l];
      for (size_t n = 0; n < joined.size(); ++n) joined[n] = std::max(joined[n], row[n]);
    }
    for (int l = 0; l < kLanes; ++l) {
      if (mask >> l & 1) joined[w.index * kLanes + l] = now;
    }
    for (int l = 0; l < kLanes; ++l) {
      if (!(mask >> l & 1)) continue;
      seen[w.index * kLanes + l] = joined;
      w.clock[l] = clock;
    }
    return;
  }
  if (!w.synced) {
    for (auto& row : w.seen) row.fill(barrier_time - 1);
    w.synced = true;
  }
  std::array<uint32_t, kLanes> joined = {};
  for (int l = 0; l < kLanes; ++l) {
    if (!(mask >> l & 1)) continue;
    for (int n = 0; n < kLanes; ++n) joined[n] = std::max(joined[n], w.seen[l][n]);
  }
  for (int l = 0; l < kLanes; ++l) {
    if (mask >> l & 1) joined[l] = now;
  }
  for (int l = 0; l < kLanes; ++l) {
    if (!(mask >> l & 1)) continue;
    w.seen[l] = joined;
    w.clock[l] = clock;
  }
}

void Machine::deadlock() {
  std::string who;
  Warp* first = nullptr;
  int lane = 0;
  for (Warp& w : warps) {
    for (const Group& g : w.groups) {
      if (who.size() < 600) {
        who += (who.empty() ? "" : "; ") + ("warp " + std::to_string(w.index)) + " lanes " +
               std::to_string(std::popcount(g.mask)) + " at " + place(g.pc) + " " +
               program.code[g.pc].statement->text;
      }
      if (first == nullptr) {
        first = &w;
        lane = std::countr_zero(g.mask);
        w.pc = g.pc;
      }
    }
  }
  report("deadlock", *first, lane, who);
  throw Stop{};
}

void run_copy_local(Warp& w, const Instruction& i, uint32_t mask) {
  Machine& m = *w.machine;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    uint8_t* frame = m.local.data() + (uint64_t{w.index} * kLanes + lane) * m.program.local_bytes;
    for (size_t n = 0; n < i.table.size(); n += 3) {
      std::memmove(frame + i.table[n + 1], frame + i.table[n], i.table[n + 2]);
    }
  }
}

}  // namespace kvbench::ptx
