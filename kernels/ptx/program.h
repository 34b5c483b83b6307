// A kernel ready to run: decoded instructions, and where its registers and variables lie.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/ptx/module.h"

namespace kvbench::ptx {

inline constexpr int kLanes = 32;
inline constexpr uint32_t kAll = 0xffffffffU;
// Registers and constants of a warp lie in slots of 64 bytes: 32 lanes of 2, 4 or 8 bytes. A
// predicate is one word, a bit a lane.
inline constexpr uint32_t kSlotBytes = 64;
inline constexpr uint32_t kSharedGap = 128;  // between shared variables; leaves banks as they are

struct Warp;
struct Instruction;
// Executes for the lanes of the mask.
using Run = void (*)(Warp&, const Instruction&, uint32_t mask);

enum class Flow : uint8_t {
  kPlain,
  kBranch,
  kBranchTable,
  kCall,
  kReturn,
  kExit,
  kBarrier,   // of the block
  kWarpWide,  // runs when all live lanes of its member mask are there
};

// What an instruction counts as.
enum class Count : uint8_t {
  kOther,
  kSpecialFunction,
  kShuffle,
  kBarrier,
  kAtomic,
};

struct Instruction {
  Run run = nullptr;
  uint32_t target = 0;  // of a branch or call
  uint16_t guard = 0;   // slot of the predicate, 0 = none
  bool guard_negated = false;
  Flow flow = Flow::kPlain;
  std::array<uint16_t, 34> r = {};  // slots of the operands, results first
  int64_t offset = 0;               // of an address
  uint16_t members = 0;             // slot of the member mask of a kWarpWide
  uint16_t address = 0;             // slot of the base of an address
  uint8_t address_bytes = 8;
  Space space = Space::kGeneric;
  uint8_t bytes = 0, parts = 1, register_bytes = 0;  // of the elements that memory operations move
  uint8_t source_bytes = 0;                          // of a conversion: the register's
  bool is_signed = false, is_float = false;
  bool non_coherent = false;  // ld.global.nc
  uint8_t mode = 0;           // meaning depends on `run`
  bool saturate = false;      // of a conversion
  bool negated = false;       // the predicate among its operands
  Count count = Count::kOther;
  uint8_t flops = 0;  // of a lane
  uint32_t n_arguments = 0;
  std::vector<uint32_t> table;  // targets of a branch table; offsets of a call's parameters
  const Statement* statement = nullptr;
};

struct Constant {
  uint16_t slot = 0;
  uint8_t bytes = 0;
  uint64_t value = 0;
};

struct Special {
  uint16_t slot = 0;
  uint8_t bytes = 4;
  std::string name;
};

struct InstructionCount {
  uint64_t warps = 0, lanes = 0;
};

struct Program {
  std::string name;  // short and readable
  std::shared_ptr<const Module> module;
  std::vector<Instruction> code;
  uint32_t entry = 0;
  uint32_t n_slots = 1;
  std::vector<Constant> constants;
  std::vector<Special> specials;
  std::vector<Variable> parameters;
  uint32_t parameter_bytes = 0;
  uint32_t shared_bytes = 0;     // static, as a device counts them
  std::vector<Variable> shared;  // static; they lie at these places, with gaps between them:
  std::vector<uint32_t> shared_at;
  uint32_t shared_span = 0;  // where the dynamic ones begin
  uint32_t local_bytes = 0;
  uint32_t max_threads = 0;
  uint32_t global_granule = 16, shared_granule = 16;  // smallest access in bytes: a shadow cell
  bool named_barriers = false;
  bool partial_barriers = false;  // those, or __syncwarp() of a part of the warp
  bool atomics = false;
  std::vector<InstructionCount> counts;  // by instruction, since the last reset
};

// Addresses of the module's own variables by name.
using Symbols = std::unordered_map<std::string, uint64_t>;

// Throws PtxError that names what it does not know. Barriers at the place `drop`
// ("kernels/x.cu:12") are left out.
Program decode(std::shared_ptr<const Module> module, const std::string& entry,
               const Symbols& symbols, const std::string& drop);

// Whether a statement orders memory: bar.sync, bar.warp.sync, a wait of cp.async.
bool is_barrier(const Statement& statement);

// Arithmetic: what an opcode runs, and the widths of its operands, results first: p predicate,
// h, w, d 16, 32 and 64 bits.
struct Operation {
  const char* widths = "";
  Run run = nullptr;
  uint8_t flops = 0;
  Count count = Count::kOther;
};

const std::unordered_map<std::string, Operation>& operations();

// cvt.*: throws PtxError.
void decode_conversion(const std::string& opcode, Instruction& instruction);

// The rest of the opcodes by their runs.
void run_load(Warp&, const Instruction&, uint32_t);
void run_store(Warp&, const Instruction&, uint32_t);
void run_load_parameter(Warp&, const Instruction&, uint32_t);
void run_atomic(Warp&, const Instruction&, uint32_t);
void run_copy_async(Warp&, const Instruction&, uint32_t);
void run_commit_group(Warp&, const Instruction&, uint32_t);
void run_wait_group(Warp&, const Instruction&, uint32_t);
void run_cvta(Warp&, const Instruction&, uint32_t);
void run_shuffle(Warp&, const Instruction&, uint32_t);
void run_vote(Warp&, const Instruction&, uint32_t);
void run_match(Warp&, const Instruction&, uint32_t);
void run_reduce(Warp&, const Instruction&, uint32_t);
void run_warp_barrier(Warp&, const Instruction&, uint32_t);
void run_active_mask(Warp&, const Instruction&, uint32_t);
void run_load_matrix(Warp&, const Instruction&, uint32_t);
void run_mma(Warp&, const Instruction&, uint32_t);
void run_pack(Warp&, const Instruction&, uint32_t);
void run_unpack(Warp&, const Instruction&, uint32_t);
void run_nothing(Warp&, const Instruction&, uint32_t);
void run_copy_local(Warp&, const Instruction&, uint32_t);  // table: from, to, bytes
void run_assert_failed(Warp&, const Instruction&, uint32_t);

enum Atomic : uint8_t {
  kAdd,
  kMin,
  kMax,
  kAnd,
  kOr,
  kXor,
  kExchange,
  kCompareSwap,
  kIncrement,
  kDecrement
};
enum Shuffle : uint8_t { kUp, kDown, kButterfly, kIndex };
enum Vote : uint8_t { kAny, kEvery, kUniform, kBallot };
enum MatrixElement : uint8_t { kF16, kBF16 };

}  // namespace kvbench::ptx
