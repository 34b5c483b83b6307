// Where the operands of a kernel's statements lie: registers and constants in slots, variables at
// addresses of their space.
#pragma once

#include <algorithm>
#include <map>
#include <set>

#include "kernels/ptx/program.h"

namespace kvbench::ptx {

class Operands {
 public:
  Program program;
  const Function* function = nullptr;    // at hand
  const Statement* statement = nullptr;  // at hand
  bool in_entry = false;

  explicit Operands(const Symbols& symbols) : symbols_(symbols) {}

  [[noreturn]] void unknown() const { throw PtxError("unknown instruction " + statement->text); }

  // Names of a function hide those of the one before.
  void begin_function(const Function& f) {
    function = &f;
    in_entry = f.is_entry;
    register_slots_.clear();
    local_offsets_.clear();
  }

  void place_parameters(const std::vector<Variable>& parameters) {
    program.parameters = parameters;
    for (const Variable& p : parameters) {
      const uint32_t a = p.alignment;
      program.parameter_bytes = (program.parameter_bytes + a - 1) / a * a;
      parameter_offsets_[p.name] = program.parameter_bytes;
      program.parameter_bytes += p.bytes;
    }
  }

  void settle_dynamic_shared() {
    program.shared_bytes = (program.shared_bytes + 15) / 16 * 16;
    program.shared_span = (program.shared_span + kSharedGap - 1) / kSharedGap * kSharedGap;
    for (const size_t n : dynamic_shared_) program.constants[n].value += program.shared_span;
  }

  // For a register of so many bytes.
  uint16_t new_slot(uint32_t bytes) {
    const uint32_t slot = program.n_slots;
    program.n_slots += std::max<uint32_t>(1, bytes * kLanes / kSlotBytes);
    if (program.n_slots > 0xffff) throw PtxError("too many registers in " + program.name);
    return static_cast<uint16_t>(slot);
  }

  uint16_t constant(uint64_t value, uint32_t bytes) {
    if (bytes < 8) value &= (uint64_t{1} << (8 * bytes)) - 1;
    const auto [found, fresh] = constant_slots_.try_emplace({value, bytes}, 0);
    if (fresh) {
      found->second = new_slot(bytes);
      program.constants.push_back({found->second, static_cast<uint8_t>(bytes), value});
    }
    return found->second;
  }

  void place_shared(const Variable& v) {
    const auto up = [&](uint32_t at) { return (at + v.alignment - 1) / v.alignment * v.alignment; };
    program.shared_bytes = up(program.shared_bytes) + v.bytes;
    const uint32_t at = up(program.shared_span);
    shared_offsets_[v.name] = at;
    program.shared.push_back(v);
    program.shared_at.push_back(at);
    program.shared_span = at + v.bytes + kSharedGap;
  }

  // In every thread's memory. Returns its address.
  uint32_t place_local(const Variable& v) {
    const uint32_t a = std::max(16U, v.alignment);
    program.local_bytes = (program.local_bytes + a - 1) / a * a;
    local_offsets_[v.name] = program.local_bytes;
    program.local_bytes += v.bytes;
    return local_offsets_[v.name];
  }

  // The address of a variable in its space.
  uint64_t address_of(const std::string& name, Space* space) {
    if (const auto p = parameter_offsets_.find(name); in_entry && p != parameter_offsets_.end()) {
      *space = Space::kParameter;
      return p->second;
    }
    if (const auto l = local_offsets_.find(name); l != local_offsets_.end()) {
      *space = Space::kLocal;
      return l->second;
    }
    if (const auto s = shared_offsets_.find(name); s != shared_offsets_.end()) {
      *space = Space::kShared;
      return s->second;
    }
    if (const auto s = symbols_.find(name); s != symbols_.end()) {
      *space = Space::kGlobal;
      return s->second;
    }
    throw PtxError("unknown name " + name + " in " + statement->text);
  }

  bool dynamic_shared(const std::string& name) const {
    const auto is = [&](const Variable& v) {
      return v.name == name && v.dynamic_size && v.space == Space::kShared;
    };
    return std::any_of(program.module->variables.begin(), program.module->variables.end(), is) ||
           std::any_of(function->variables.begin(), function->variables.end(), is);
  }

  uint32_t register_bytes(const std::string& name) const {
    if (const auto r = function->registers.find(name); r != function->registers.end()) {
      return type_bytes(r->second);
    }
    if (name.starts_with("%")) return name.find("64") != std::string::npos ? 8 : 4;
    throw PtxError("unknown register " + name + " in " + statement->text);
  }

  uint16_t register_slot(const std::string& name) {
    const auto found = register_slots_.find(name);
    if (found != register_slots_.end()) return found->second;
    const bool special = !function->registers.contains(name);
    static const std::set<std::string> known = {
        "%tid.x",          "%tid.y",       "%tid.z",
        "%ntid.x",         "%ntid.y",      "%ntid.z",
        "%ctaid.x",        "%ctaid.y",     "%ctaid.z",
        "%nctaid.x",       "%nctaid.y",    "%nctaid.z",
        "%laneid",         "%warpid",      "%nwarpid",
        "%lanemask_lt",    "%lanemask_le", "%lanemask_gt",
        "%lanemask_ge",    "%lanemask_eq", "%dynamic_smem_size",
        "%total_smem_size"};
    if (special && !known.contains(name)) throw PtxError("unknown register " + name);
    const uint32_t bytes = register_bytes(name);
    const bool predicate = !special && function->registers.at(name) == "pred";
    const uint16_t slot = new_slot(predicate ? 2 : bytes);
    if (special) program.specials.push_back({slot, static_cast<uint8_t>(bytes), name});
    register_slots_[name] = slot;
    return slot;
  }

  bool is_predicate(const Argument& a) const {
    const auto r = function->registers.find(a.name);
    return r != function->registers.end() && r->second == "pred";
  }

  // The slot of an operand of `bytes`; a predicate has 0 of them.
  uint16_t slot(const Argument& a, uint32_t bytes) {
    switch (a.kind) {
      case Argument::Kind::kRegister: {
        const bool predicate = is_predicate(a);
        if (predicate != (bytes == 0) || (!predicate && register_bytes(a.name) != bytes)) {
          throw PtxError("width of " + a.name + " in " + statement->text);
        }
        return register_slot(a.name);
      }
      case Argument::Kind::kNumber:
        if (bytes == 0 && a.number_type == 'i') return constant(a.number == 0 ? 0 : kAll, 4);
        if ((a.number_type == 'f' && bytes != 4) || (a.number_type == 'd' && bytes != 8) ||
            bytes == 0) {
          unknown();
        }
        return constant(a.number, bytes);
      case Argument::Kind::kName: {
        if (dynamic_shared(a.name)) return dynamic_constant(a.number, bytes);
        Space space;
        return constant(address_of(a.name, &space) + a.number, bytes);
      }
      case Argument::Kind::kSink:
        return new_slot(std::max(bytes, 2U));
      default:
        unknown();
    }
  }

  // An address in dynamic shared memory, which begins where settle_dynamic_shared() says.
  uint16_t dynamic_constant(uint64_t offset, uint32_t bytes) {
    const uint16_t slot = new_slot(bytes);
    dynamic_shared_.push_back(program.constants.size());
    program.constants.push_back({slot, static_cast<uint8_t>(bytes), offset});
    return slot;
  }

  // [base + offset] into the instruction. Returns the space of a named variable.
  Space address(const Argument& a, Instruction& i) {
    if (a.kind != Argument::Kind::kMemory) unknown();
    const Argument& base = a.parts[0];
    Space space = Space::kGeneric;
    i.offset = static_cast<int64_t>(a.number);
    if (base.kind == Argument::Kind::kRegister) {
      i.address_bytes = static_cast<uint8_t>(register_bytes(base.name));
      i.address = slot(base, i.address_bytes);
    } else if (base.kind == Argument::Kind::kName && dynamic_shared(base.name)) {
      i.address = dynamic_constant(0, 8);
      space = Space::kShared;
    } else if (base.kind == Argument::Kind::kName) {
      i.address = constant(address_of(base.name, &space), 8);
    } else {
      i.address = constant(base.number, 8);
    }
    return space;
  }

 private:
  const Symbols& symbols_;
  std::unordered_map<std::string, uint16_t> register_slots_;
  std::map<std::pair<uint64_t, uint32_t>, uint16_t> constant_slots_;
  std::unordered_map<std::string, uint32_t> parameter_offsets_, shared_offsets_, local_offsets_;
  std::vector<size_t> dynamic_shared_;  // constants
};

std::vector<std::string> split_opcode(const std::string& opcode);  // at its dots

// The statement at hand into the instruction, for every opcode but those that leave the order of
// instructions (branches, calls, returns). Throws PtxError.
void decode_opcode(Operands& operands, Instruction& instruction);

}  // namespace kvbench::ptx
