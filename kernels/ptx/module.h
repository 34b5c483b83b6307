// PTX text as statements: what the parser makes of a module, before instructions are decoded.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvbench::ptx {

// PTX that the engine does not know, or that contradicts itself. Never guessed at.
struct PtxError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Argument {
  enum class Kind { kRegister, kNumber, kName, kVector, kMemory, kSink };

  Kind kind = Kind::kSink;
  std::string name;             // of a register (unique in its function), variable or label
  uint64_t number = 0;          // bits of an immediate; of a kMemory or kName the offset in bytes
  char number_type = 'i';       // i integer, f float32 bits, d float64 bits
  bool negated = false;         // !%p
  std::vector<Argument> parts;  // of a vector; of kMemory the base
  std::string second;           // %p|%q: the register behind the bar
};

struct Location {
  int file = 0, line = 0, column = 0;
  int inlined_at = -1;  // index of the location that calls this one, -1 = none
};

struct Statement {
  std::string guard;  // predicate register, empty = none
  bool guard_negated = false;
  std::string opcode;
  std::vector<Argument> arguments;
  int location = -1;
  std::string text;
};

enum class Space : uint8_t { kGeneric, kGlobal, kShared, kLocal, kConstant, kParameter };

struct Variable {
  std::string name;
  Space space = Space::kGlobal;
  uint32_t bytes = 0, alignment = 1;
  bool dynamic_size = false;  // extern __shared__ array
  std::vector<uint8_t> initial;
};

struct Function {
  std::string name;
  bool is_entry = false, is_extern = false;
  std::vector<Variable> parameters, results;
  std::vector<Variable> variables;                         // shared, local, call parameters
  std::unordered_map<std::string, std::string> registers;  // unique name -> type: b32, pred, ...
  std::vector<Statement> body;
  std::unordered_map<std::string, size_t> labels;  // -> index into body
  std::unordered_map<std::string, std::vector<std::string>> branch_targets;
  uint32_t max_threads = 0;  // .maxntid, 0 = not given
};

struct Module {
  std::map<int, std::string> files;
  std::vector<Location> locations;
  std::vector<Variable> variables;  // of the module: global, constant, shared
  std::vector<Function> functions;

  // "kernels/x.cuh:12", the innermost first: lines that are inlined into each other, without the
  // toolkit's. "?" if there is none.
  std::vector<std::string> places(int location) const;
  std::string place(int location) const;  // the innermost
};

uint32_t type_bytes(std::string_view type);  // "f32" -> 4; throws PtxError

Module parse(std::string_view text);

}  // namespace kvbench::ptx
