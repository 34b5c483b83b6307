// The state of a launch: blocks, warps, memory, and what is watched of them.
#pragma once

#include <cstring>
#include <map>
#include <random>
#include <tuple>

#include "kernels/ptx/engine.h"
#include "kernels/ptx/program.h"

namespace kvbench::ptx {

// Generic addresses of shared and local memory lie in windows that no host pointer reaches.
inline constexpr uint64_t kSharedWindow = 0x5100000000000000ULL;
inline constexpr uint64_t kLocalWindow = 0x5200000000000000ULL;
inline constexpr uint64_t kWindowMask = 0xff00000000000000ULL;
inline constexpr int kThreadShift = 32;  // in kLocalWindow: whose memory it is

enum State : uint8_t { kNowhere = 0, kAllocated = 1, kWritten = 3, kFreed = 4 };

// One access of a warp to memory, in the launch's log. Shadow cells refer to it and to its lane.
struct Access {
  uint32_t block = 0, code = 0, clock = 0;
  uint16_t warp = 0;
  bool atomic = false, non_coherent = false;
};

using Reference = uint32_t;  // access << 5 | lane; those before the launch's first mean "none"

// Accesses of a kind that no later one replaced. Two serve: `latest` with the lanes of its warp,
// and `other` of another warp or, rather, block. In the launch's own order of lanes, warps and
// blocks that is enough to find a race if there is one; where parts of a warp or of a block meet at
// barriers, Machine::exact keeps all of them.
struct Accessors {
  Reference latest = 0, other = 0;
  uint32_t lanes = 0;
};

// Of a granule of memory. Atomic operations have Accessors of their own beside it.
struct Cell {
  Reference writer = 0;
  Accessors readers;
};

struct Allocation {
  uint64_t bytes = 0;
  bool live = true;
  std::string name;
};

// Device memory: one range of addresses, allocations with red zones between them.
class Arena {
 public:
  Arena();
  uint8_t* allocate(uint64_t bytes);                                    // nullptr: none left
  bool free(void* pointer);                                             // false: not an allocation
  uint8_t* allocate_variable(uint64_t bytes, const std::string& name);  // of a module, for good
  bool contains(uint64_t address, uint64_t bytes) const {
    return address - base() < kBytes && bytes <= kBytes - (address - base());
  }
  uint64_t base() const { return reinterpret_cast<uint64_t>(memory_); }
  uint8_t* state(uint64_t address) { return states_ + (address - base()); }
  Cell* cells() { return cells_; }
  Accessors* atomics() { return atomics_; }
  uint32_t* sector_stamp(uint64_t address, int which) {
    return stamps_ + (address - base()) / 32 * 4 + which;
  }
  void forget_accesses();
  // "allocation 3 (256 bytes), 4 bytes behind its end"
  std::string describe(uint64_t address) const;

  static constexpr uint64_t kBytes = uint64_t{1} << 30;

 private:
  uint8_t* memory_;
  uint8_t* states_;
  Cell* cells_;
  Accessors* atomics_;
  uint32_t* stamps_;
  uint8_t* place(uint64_t& top, uint64_t end, uint64_t bytes, const std::string& name);

  static constexpr uint64_t kVariables = uint64_t{16} << 20;  // they lie in front
  uint64_t variables_top_ = 4096, top_ = kVariables, n_ = 0, live_ = 0;
  std::map<uint64_t, Allocation> allocations_;  // by offset
};

enum class Wait : uint8_t { kNone, kMembers, kBarrier };

struct Group {
  uint32_t pc = 0, mask = 0;
  Wait wait = Wait::kNone;
  uint8_t barrier = 0;
};

struct Machine;

struct AsyncCopy {
  uint32_t to = 0;
  uint64_t from = 0;
  uint8_t bytes = 0, source_bytes = 0;
};

struct Warp {
  Machine* machine = nullptr;
  uint32_t index = 0;
  uint8_t* registers = nullptr;
  uint32_t live = 0;
  uint32_t pc = 0;            // of the instruction that runs
  std::vector<Group> groups;  // lanes by program counter
  std::array<uint32_t, kLanes> clock = {};
  bool synced = false;                                         // `seen` holds something
  std::array<std::array<uint32_t, kLanes>, kLanes> seen = {};  // [lane][of lane]: ordered before
  std::array<std::vector<std::vector<AsyncCopy>>, kLanes> copies;  // groups; the last one is open

  template <class T>
  T* at(uint16_t slot) const {
    return reinterpret_cast<T*>(registers + uint32_t{slot} * kSlotBytes);
  }
};

struct Barrier {
  uint32_t arrived = 0, expected = 0;  // threads; expected 0: all of the block
  uint32_t code = 0;                   // of the first one to arrive
};

// A warp's request to memory.
struct Request {
  enum class Kind : uint8_t { kRead, kWrite, kAtomic };

  Kind kind = Kind::kRead;
  Space space = Space::kGlobal;
  uint32_t mask = 0, bytes = 0;
  std::array<uint64_t, kLanes> address = {};
  std::array<uint8_t*, kLanes> pointer = {};  // result: nullptr where the access is refused
};

struct Dim {
  uint32_t x = 1, y = 1, z = 1;
};

struct Stop {};  // thrown when a launch cannot go on; the finding is made

struct Machine {
  Machine(Program& program, Arena& arena, Dim grid, Dim block, uint32_t dynamic_shared_bytes,
          const uint8_t* parameters, uint64_t seed);
  void run();

  // ---- findings
  void report(std::string_view check, const Warp& warp, int lane, std::string detail,
              Reference other = 0);
  std::string place(uint32_t code) const;

  // ---- memory
  void access(Warp& warp, Request& request);
  std::string describe_shared(uint64_t address) const;
  void mark_write(Warp& warp, int lane, uint32_t shared_address, uint32_t bytes);
  const Access& log_of(Reference r) const { return log[(r >> 5) - first_access]; }
  bool ordered(const Warp& warp, int lane, Reference earlier) const;

  // ---- barriers
  void sync_lanes(Warp& warp, uint32_t mask);
  void sync_named(uint32_t barrier);
  void sync_block();

  Program& program;
  Arena& arena;
  Dim grid, block;
  const uint8_t* parameters;
  std::mt19937_64 random;
  uint32_t n_threads, block_index = 0;
  Dim block_at;
  std::vector<uint8_t> shared, shared_state, shared_fresh;  // states now, and as a block begins
  std::vector<Cell> shared_cells;
  std::vector<Accessors> shared_atomics;
  std::unordered_map<const Accessors*, std::vector<Reference>> exact;
  std::vector<uint8_t> local;  // [thread][local_bytes]
  std::vector<uint8_t> register_file;
  std::vector<Warp> warps;
  std::array<Barrier, 16> barriers = {};
  uint32_t clock = 1, barrier_time = 1;
  std::vector<std::vector<uint32_t>> seen;  // [thread][thread], kernels with named barriers only
  std::vector<Access> log;
  uint32_t first_access = 1, first_shared = 1;
  uint32_t global_shift, shared_shift;
  uint64_t n_steps = 0, step_limit = 0;  // of threads
  uint32_t block_stamp = 0, launch_stamp = 0;
  Counters counted;                                                        // memory's part
  std::map<std::tuple<std::string, uint32_t, int64_t>, Finding> findings;  // check, code, other

 private:
  void run_block();
  void start_block();
  bool run_warp(Warp& warp, int budget);
  void step_flow(Warp& warp, size_t group, uint32_t mask);
  void arrive(Warp& warp, size_t group, const Instruction& i, uint32_t mask);
  void check_barriers();
  void release(uint32_t barrier);
  void count_sectors(const Request& request);
  void count_wavefronts(const Request& request);
  struct Watched {  // an access of a lane to a granule; references before `first` are none
    Warp& warp;
    int lane;
    Request::Kind kind;
    Reference now, first;
    bool non_coherent;
  };
  void watch(const Watched& access, Cell& cell, Accessors& atomics);
  void race(const Watched& access, Reference earlier, const char* what);
  void conflict(const Watched& access, const Accessors& with, const char* what);
  void join(const Watched& access, Accessors& to);
  [[noreturn]] void deadlock();
  uint32_t live_threads() const;
};

}  // namespace kvbench::ptx
