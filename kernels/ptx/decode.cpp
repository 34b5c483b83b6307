// From statements to instructions that run: opcodes looked up, operands given their places.
#include <cxxabi.h>

#include <algorithm>
#include <bit>
#include <set>

#include "kernels/ptx/program.h"

namespace kvbench::ptx {
namespace {

std::vector<std::string> split(const std::string& opcode) {
  std::vector<std::string> parts;
  for (size_t at = 0; at != std::string::npos;) {
    const size_t dot = opcode.find('.', at);
    parts.push_back(opcode.substr(at, dot == std::string::npos ? dot : dot - at));
    at = dot == std::string::npos ? dot : dot + 1;
  }
  return parts;
}

// "void kvbench::(anonymous namespace)::f<T>(...)" -> "f<T>"
std::string short_name(const std::string& mangled) {
  int status = 0;
  char* demangled = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  std::string name = status == 0 ? demangled : mangled;
  std::free(demangled);
  for (const std::string_view noise :
       {"(anonymous namespace)::", "kvbench::", "ptx::", "void ", "(int)", "(bool)"}) {
    for (size_t at; (at = name.find(noise)) != std::string::npos;) name.erase(at, noise.size());
  }
  int depth = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == '(' && depth == 0) return name.substr(0, i);
  }
  return name;
}

class Decoder {
 public:
  Decoder(std::shared_ptr<const Module> module, const Symbols& symbols, const std::string& drop)
      : symbols_(symbols), drop_(drop) {
    program_.module = std::move(module);
  }

  Program run(const std::string& entry) {
    const Function& kernel = function(entry);
    program_.name = short_name(entry);
    program_.max_threads = kernel.max_threads;
    program_.parameters = kernel.parameters;
    for (const Variable& p : kernel.parameters) {
      const uint32_t a = p.alignment;
      program_.parameter_bytes = (program_.parameter_bytes + a - 1) / a * a;
      parameter_offsets_[p.name] = program_.parameter_bytes;
      program_.parameter_bytes += p.bytes;
    }
    for (const Variable& v : program_.module->variables) {
      if (v.space == Space::kShared && !v.dynamic_size) place_shared(v);
    }
    functions_.push_back(&kernel);
    // Called functions come first, so that lanes in them run before those behind the call.
    collect_calls(kernel);
    for (size_t f = functions_.size(); f-- > 0;) add_function(*functions_[f]);
    program_.shared_bytes = (program_.shared_bytes + 15) / 16 * 16;
    program_.shared_span = (program_.shared_span + kSharedGap - 1) / kSharedGap * kSharedGap;
    for (auto& [instruction, name] : dynamic_shared_) {
      constant_value(instruction) = program_.shared_span;
    }
    for (const auto& [index, name] : calls_) {
      program_.code[index].target = begins_.at(name);
    }
    program_.entry = begins_.at(entry);
    program_.counts.resize(program_.code.size());
    return std::move(program_);
  }

 private:
  [[noreturn]] void unknown() const { throw PtxError("unknown instruction " + statement_->text); }

  const Function& function(const std::string& name) const {
    for (const Function& f : program_.module->functions) {
      if (f.name == name) return f;
    }
    throw PtxError("no function " + name);
  }

  // Callees behind their callers.
  void collect_calls(const Function& f, int depth = 0) {
    if (depth > 16) throw PtxError("recursion in " + f.name);
    for (const Statement& s : f.body) {
      if (!s.opcode.starts_with("call")) continue;
      const Function& g = function(callee(s));
      if (g.is_extern) continue;
      std::erase(functions_, &g);
      functions_.push_back(&g);
      collect_calls(g, depth + 1);
    }
  }

  static std::string callee(const Statement& s) {
    for (const Argument& a : s.arguments) {
      if (a.kind == Argument::Kind::kName) return a.name;
    }
    throw PtxError("call through a register: " + s.text);
  }

  uint16_t new_slot(uint32_t bytes) {
    const uint32_t slot = program_.n_slots;
    program_.n_slots += std::max<uint32_t>(1, bytes * kLanes / kSlotBytes);
    if (program_.n_slots > 0xffff) throw PtxError("too many registers in " + program_.name);
    return static_cast<uint16_t>(slot);
  }

  uint64_t& constant_value(size_t index) { return program_.constants[index].value; }

  uint16_t constant(uint64_t value, uint32_t bytes) {
    if (bytes < 8) value &= (uint64_t{1} << (8 * bytes)) - 1;
    const auto [found, fresh] = constant_slots_.try_emplace({value, bytes}, 0);
    if (fresh) {
      found->second = new_slot(bytes);
      program_.constants.push_back({found->second, static_cast<uint8_t>(bytes), value});
    }
    return found->second;
  }

  void place_shared(const Variable& v) {
    const auto up = [&](uint32_t at) { return (at + v.alignment - 1) / v.alignment * v.alignment; };
    program_.shared_bytes = up(program_.shared_bytes) + v.bytes;
    const uint32_t at = up(program_.shared_span);
    shared_offsets_[v.name] = at;
    program_.shared.push_back(v);
    program_.shared_at.push_back(at);
    program_.shared_span = at + v.bytes + kSharedGap;
  }

  uint32_t place_local(const Variable& v) {
    const uint32_t a = std::max(16U, v.alignment);
    program_.local_bytes = (program_.local_bytes + a - 1) / a * a;
    const uint32_t at = program_.local_bytes;
    program_.local_bytes += v.bytes;
    return at;
  }

  // The address of a variable in its space.
  uint64_t address_of(const std::string& name, Space* space) {
    if (const auto p = parameter_offsets_.find(name); in_entry_ && p != parameter_offsets_.end()) {
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
    throw PtxError("unknown name " + name + " in " + statement_->text);
  }

  bool dynamic_shared(const std::string& name) const {
    const auto is = [&](const Variable& v) {
      return v.name == name && v.dynamic_size && v.space == Space::kShared;
    };
    return std::any_of(program_.module->variables.begin(), program_.module->variables.end(), is) ||
           std::any_of(function_->variables.begin(), function_->variables.end(), is);
  }

  uint32_t register_bytes(const std::string& name) const {
    if (const auto r = function_->registers.find(name); r != function_->registers.end()) {
      return type_bytes(r->second);
    }
    if (name.starts_with("%")) return name.find("64") != std::string::npos ? 8 : 4;
    throw PtxError("unknown register " + name + " in " + statement_->text);
  }

  uint16_t register_slot(const std::string& name) {
    const auto found = register_slots_.find(name);
    if (found != register_slots_.end()) return found->second;
    const bool special = !function_->registers.contains(name);
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
    const bool predicate = !special && function_->registers.at(name) == "pred";
    const uint16_t slot = new_slot(predicate ? 2 : bytes);
    if (special) program_.specials.push_back({slot, static_cast<uint8_t>(bytes), name});
    register_slots_[name] = slot;
    return slot;
  }

  bool is_predicate(const Argument& a) const {
    const auto r = function_->registers.find(a.name);
    return r != function_->registers.end() && r->second == "pred";
  }

  // The slot of an operand of `bytes`; a predicate has 0 of them.
  uint16_t slot(const Argument& a, uint32_t bytes) {
    switch (a.kind) {
      case Argument::Kind::kRegister: {
        const bool predicate = is_predicate(a);
        if (predicate != (bytes == 0) || (!predicate && register_bytes(a.name) != bytes)) {
          throw PtxError("width of " + a.name + " in " + statement_->text);
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
        if (dynamic_shared(a.name)) return dynamic_constant(a.name, bytes);
        Space space;
        return constant(address_of(a.name, &space) + a.number, bytes);
      }
      case Argument::Kind::kSink:
        return new_slot(std::max(bytes, 2U));
      default:
        unknown();
    }
  }

  uint16_t dynamic_constant(const std::string& name, uint32_t bytes) {
    const uint16_t slot = new_slot(bytes);
    dynamic_shared_.emplace_back(program_.constants.size(), name);
    program_.constants.push_back({slot, static_cast<uint8_t>(bytes), 0});
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
      i.address = dynamic_constant(base.name, 8);
      space = Space::kShared;
    } else if (base.kind == Argument::Kind::kName) {
      i.address = constant(address_of(base.name, &space), 8);
    } else {
      i.address = constant(base.number, 8);
    }
    return space;
  }

  void add_function(const Function& f) {
    function_ = &f;
    in_entry_ = f.is_entry;
    register_slots_.clear();
    local_offsets_.clear();
    for (const Variable& v : f.variables) {
      if (v.space == Space::kShared && !v.dynamic_size) place_shared(v);
      if (v.space == Space::kLocal || v.space == Space::kParameter) {
        local_offsets_[v.name] = place_local(v);
      }
    }
    if (!f.is_entry) {  // parameters and results of calls lie in local memory
      auto& frame = frames_[f.name];
      frame.return_slot = new_slot(4);
      for (const Variable& v : f.parameters) {
        frame.parameters.push_back(local_offsets_[v.name] = place_local(v));
        frame.bytes.push_back(v.bytes);
      }
      for (const Variable& v : f.results) {
        frame.results.push_back(local_offsets_[v.name] = place_local(v));
        frame.result_bytes.push_back(v.bytes);
      }
    }
    const auto begin = static_cast<uint32_t>(program_.code.size());
    begins_[f.name] = begin;
    // A label's place is that of the statement; calls with a result take two instructions.
    std::vector<uint32_t> places;
    for (const Statement& s : f.body) {
      places.push_back(static_cast<uint32_t>(program_.code.size()));
      statement_ = &s;
      statement();
    }
    places.push_back(static_cast<uint32_t>(program_.code.size()));
    if (f.body.empty() || (f.body.back().opcode != "ret" && f.body.back().opcode != "exit")) {
      Instruction i;  // falling off the end returns
      i.flow = f.is_entry ? Flow::kExit : Flow::kReturn;
      i.members = f.is_entry ? uint16_t{0} : frames_[f.name].return_slot;
      i.run = run_nothing;
      i.statement = statement_;
      i.module = program_.module.get();
      program_.code.push_back(std::move(i));
    }
    const auto place = [&](const std::string& label) {
      const auto at = f.labels.find(label);
      if (at == f.labels.end()) throw PtxError("unknown label " + label);
      return places[at->second];
    };
    for (uint32_t at = begin; at < program_.code.size(); ++at) {
      Instruction& i = program_.code[at];
      if (i.flow == Flow::kBranch) i.target = place(i.statement->arguments[0].name);
      if (i.flow == Flow::kBranchTable) {
        const auto list = f.branch_targets.find(i.statement->arguments[1].name);
        if (list == f.branch_targets.end()) throw PtxError("no targets: " + i.statement->text);
        for (const auto& label : list->second) i.table.push_back(place(label));
      }
    }
  }

  Instruction begin_instruction() {
    Instruction i;
    i.run = run_nothing;
    i.statement = statement_;
    i.module = program_.module.get();
    if (!statement_->guard.empty()) {
      i.guard = register_slot(statement_->guard);
      i.guard_negated = statement_->guard_negated;
    }
    return i;
  }

  void statement() {
    Instruction i = begin_instruction();
    const Statement& s = *statement_;
    const std::vector<std::string> parts = split(s.opcode);
    const std::string& name = parts[0];
    const auto& operations = kvbench::ptx::operations();
    if (!drop_.empty() && is_barrier(s) && program_.module->place(s.location) == drop_) {
      // left out
    } else if (name == "bra") {
      i.flow = Flow::kBranch;
    } else if (name == "brx") {
      i.flow = Flow::kBranchTable;
      i.r[0] = slot(s.arguments[0], 4);
    } else if (name == "ret" || name == "exit") {
      i.flow = in_entry_ || name == "exit" ? Flow::kExit : Flow::kReturn;
      if (i.flow == Flow::kReturn) i.members = frames_[function_->name].return_slot;
    } else if (name == "trap") {
      i.run = run_assert_failed;
    } else if (name == "call") {
      call(i);
      return;
    } else if (name == "bar" || name == "barrier") {
      barrier(i, parts);
    } else if (name == "membar" || name == "fence" || name == "nanosleep" || name == "prefetch" ||
               name == "pmevent" || name == "discard" || name == "applypriority") {
      // Order nothing here: kernels do not order blocks.
    } else if (name == "ld" || name == "ldu") {
      load(i, parts);
    } else if (name == "st") {
      store(i, parts);
    } else if (name == "atom" || name == "red") {
      atomic(i, parts);
    } else if (name == "cp") {
      copy_async(i, parts);
    } else if (name == "cvta") {
      cvta(i, parts);
    } else if (name == "cvt") {
      conversion(i);
    } else if (name == "shfl") {
      shuffle(i, parts);
    } else if (name == "vote") {
      vote(i, parts);
    } else if (name == "match") {
      match(i, parts);
    } else if (name == "redux") {
      reduce(i, parts);
    } else if (name == "activemask") {
      i.run = run_active_mask;
      i.r[0] = slot(s.arguments[0], 4);
    } else if (name == "ldmatrix") {
      load_matrix(i, parts);
    } else if (name == "mma") {
      mma(i, parts);
    } else if (name == "mov" && s.arguments.size() == 2 && pack(i, parts)) {
      // done
    } else if (name == "setp") {
      set_predicate(i, parts, operations);
    } else {
      arithmetic(i, operations);
    }
    program_.code.push_back(std::move(i));
  }

  void arithmetic(Instruction& i, const std::unordered_map<std::string, Operation>& operations) {
    const Statement& s = *statement_;
    const auto found = operations.find(s.opcode);
    if (found == operations.end()) unknown();
    const std::string_view widths = found->second.widths;
    if (widths.size() != s.arguments.size()) unknown();
    for (size_t n = 0; n < widths.size(); ++n) {
      const Argument& a = s.arguments[n];
      if (a.negated || !a.second.empty()) unknown();
      i.r[n] = slot(a, bytes_of(widths[n]));
    }
    i.run = found->second.run;
    i.flops = found->second.flops;
    i.count = found->second.count;
  }

  static uint32_t bytes_of(char width) {
    return width == 'p' ? 0 : width == 'h' ? 2 : width == 'w' ? 4 : 8;
  }

  void set_predicate(Instruction& i, const std::vector<std::string>& parts,
                     const std::unordered_map<std::string, Operation>& operations) {
    const Statement& s = *statement_;
    std::string key = parts[0];
    for (size_t n = 1; n < parts.size(); ++n) {
      if (n == 2 && (parts[n] == "and" || parts[n] == "or" || parts[n] == "xor")) {
        i.mode = parts[n] == "and" ? 1 : parts[n] == "or" ? 2 : 3;
      } else {
        key += "." + parts[n];
      }
    }
    const auto found = operations.find(key);
    if (found == operations.end() || s.arguments.size() != (i.mode == 0 ? 3U : 4U)) unknown();
    const std::string_view widths = found->second.widths;
    i.r[0] = slot(s.arguments[0], 0);
    if (!s.arguments[0].second.empty()) i.r[1] = register_slot(s.arguments[0].second);
    i.r[2] = slot(s.arguments[1], bytes_of(widths[1]));
    i.r[3] = slot(s.arguments[2], bytes_of(widths[2]));
    if (i.mode != 0) {
      i.r[4] = slot(s.arguments[3], 0);
      i.saturate = s.arguments[3].negated;
    }
    i.run = found->second.run;
  }

  bool pack(Instruction& i, const std::vector<std::string>& parts) {
    const Statement& s = *statement_;
    const bool packs = s.arguments[1].kind == Argument::Kind::kVector;
    const bool unpacks = s.arguments[0].kind == Argument::Kind::kVector;
    if (packs == unpacks) return false;
    const Argument& vector = s.arguments[packs ? 1 : 0];
    i.register_bytes = static_cast<uint8_t>(type_bytes(parts.back()));
    i.n_arguments = static_cast<uint32_t>(vector.parts.size());
    i.bytes = static_cast<uint8_t>(i.register_bytes / i.n_arguments);
    i.r[0] = slot(s.arguments[packs ? 0 : 1], i.register_bytes);
    for (uint32_t n = 0; n < i.n_arguments; ++n) i.r[n + 1] = slot(vector.parts[n], i.bytes);
    i.run = packs ? run_pack : run_unpack;
    return true;
  }

  void conversion(Instruction& i) {
    const Statement& s = *statement_;
    decode_conversion(s.opcode, i);
    const auto any_width = [&](const Argument& a) -> uint32_t {
      if (a.kind == Argument::Kind::kRegister) return register_bytes(a.name);
      return s.opcode.ends_with("64") ? 8 : 4;
    };
    i.register_bytes = static_cast<uint8_t>(any_width(s.arguments[0]));
    i.source_bytes = static_cast<uint8_t>(any_width(s.arguments[1]));
    i.r[0] = slot(s.arguments[0], i.register_bytes);
    i.r[1] = slot(s.arguments[1], i.source_bytes);
    if (s.arguments.size() == 3) i.r[2] = slot(s.arguments[2], 4);
    const bool pair = s.opcode.find("x2") != std::string::npos;
    if (pair != (s.arguments.size() == 3)) unknown();
  }

  // Modifiers of a memory operation that are not its type. Cache hints change no result.
  void memory_modifiers(Instruction& i, const std::vector<std::string>& parts) {
    static const std::set<std::string> hints = {"ca",
                                                "cg",
                                                "cs",
                                                "lu",
                                                "cv",
                                                "wb",
                                                "wt",
                                                "volatile",
                                                "weak",
                                                "L1::evict_last",
                                                "L1::evict_first",
                                                "L1::no_allocate",
                                                "L1::evict_normal",
                                                "L1::evict_unchanged",
                                                "L2::64B",
                                                "L2::128B",
                                                "L2::256B"};
    for (size_t n = 1; n + 1 < parts.size(); ++n) {
      const std::string& p = parts[n];
      if (p == "global") {
        i.space = Space::kGlobal;
      } else if (p.starts_with("shared")) {
        if (p != "shared" && p != "shared::cta") unknown();
        i.space = Space::kShared;
      } else if (p == "local") {
        i.space = Space::kLocal;
      } else if (p == "const") {
        i.space = Space::kConstant;
      } else if (p.starts_with("param")) {
        i.space = Space::kParameter;
      } else if (p == "nc") {
        i.non_coherent = true;
      } else if (p == "v2" || p == "v4" || p == "v8") {
        i.parts = static_cast<uint8_t>(p[1] - '0');
      } else if (!hints.contains(p)) {
        unknown();
      }
    }
    i.bytes = static_cast<uint8_t>(type_bytes(parts.back()));
    i.is_signed = parts.back()[0] == 's';
    i.is_float = parts.back()[0] == 'f';
  }

  void note_granule(const Instruction& i, uint32_t bytes) {
    if (i.space == Space::kGlobal || i.space == Space::kGeneric) {
      program_.global_granule = std::min(program_.global_granule, bytes);
    }
    if (i.space == Space::kShared || i.space == Space::kGeneric) {
      program_.shared_granule = std::min(program_.shared_granule, bytes);
    }
  }

  void data_registers(Instruction& i, const Argument& data) {
    const bool vector = data.kind == Argument::Kind::kVector;
    if (vector != (i.parts > 1)) unknown();
    const std::vector<Argument> one = {data};
    const std::vector<Argument>& all = vector ? data.parts : one;
    if (all.size() != i.parts) unknown();
    i.register_bytes = i.bytes < 2 ? 2 : i.bytes;
    for (const Argument& a : all) {
      if (a.kind == Argument::Kind::kRegister) {
        i.register_bytes = static_cast<uint8_t>(register_bytes(a.name));
      }
    }
    if (i.register_bytes < i.bytes) unknown();
    for (uint32_t n = 0; n < i.parts; ++n) i.r[n] = slot(all[n], i.register_bytes);
  }

  void settle_space(Instruction& i, Space named) {
    // In functions and for calls parameters lie in local memory.
    if (i.space == Space::kParameter && named == Space::kLocal) i.space = Space::kLocal;
    if (i.space == Space::kGeneric && named != Space::kGeneric) i.space = named;
  }

  void load(Instruction& i, const std::vector<std::string>& parts) {
    memory_modifiers(i, parts);
    settle_space(i, address(statement_->arguments.at(1), i));
    data_registers(i, statement_->arguments[0]);
    i.count = Count::kLoad;
    i.run = run_load;
    if (i.space == Space::kParameter) {
      i.run = run_load_parameter;
      i.count = Count::kOther;
      if (i.address_bytes != 8) unknown();
    }
    note_granule(i, uint32_t{i.bytes} * i.parts);
  }

  void store(Instruction& i, const std::vector<std::string>& parts) {
    memory_modifiers(i, parts);
    settle_space(i, address(statement_->arguments.at(0), i));
    data_registers(i, statement_->arguments.at(1));
    if (i.space == Space::kParameter || i.space == Space::kConstant) unknown();
    i.run = run_store;
    i.count = Count::kStore;
    note_granule(i, uint32_t{i.bytes} * i.parts);
  }

  void atomic(Instruction& i, const std::vector<std::string>& parts) {
    static const std::unordered_map<std::string, Atomic> kinds = {
        {"add", kAdd},       {"min", kMin},      {"max", kMax},       {"and", kAnd},
        {"or", kOr},         {"xor", kXor},      {"exch", kExchange}, {"cas", kCompareSwap},
        {"inc", kIncrement}, {"dec", kDecrement}};
    bool has_kind = false;
    std::vector<std::string> rest = {parts[0]};
    for (size_t n = 1; n + 1 < parts.size(); ++n) {
      if (const auto kind = kinds.find(parts[n]); kind != kinds.end()) {
        i.mode = kind->second;
        has_kind = true;
      } else if (parts[n] != "relaxed" && parts[n] != "gpu" && parts[n] != "cta" &&
                 parts[n] != "sys") {
        rest.push_back(parts[n]);
      }
    }
    rest.push_back(parts.back());
    if (!has_kind) unknown();
    memory_modifiers(i, rest);
    const std::string& type = parts.back();
    const bool bitwise = i.mode >= kAnd && i.mode <= kCompareSwap;
    const bool known = i.is_float     ? i.mode == kAdd && (i.bytes == 4 || i.bytes == 8)
                       : i.bytes == 2 ? i.mode == kCompareSwap
                                      : i.bytes >= 4 && i.bytes <= 8 && type != "bf16x2" &&
                                            (bitwise || type[0] != 'b');
    if (!known) unknown();
    const auto& a = statement_->arguments;
    const size_t first = parts[0] == "red" ? 0 : 1;
    i.register_bytes = i.bytes;
    if (first == 1) i.r[0] = slot(a.at(0), i.bytes);
    settle_space(i, address(a.at(first), i));
    i.r[1] = slot(a.at(first + 1), i.bytes);
    if (i.mode == kCompareSwap) i.r[2] = slot(a.at(first + 2), i.bytes);
    i.run = run_atomic;
    program_.atomics = true;
    i.count = Count::kAtomic;
    note_granule(i, i.bytes);
  }

  // cp.async.{ca,cg}.shared.global [to], [from], bytes{, source bytes}
  void copy_async(Instruction& i, const std::vector<std::string>& parts) {
    const auto& a = statement_->arguments;
    if (parts.at(1) != "async") unknown();
    const std::string& what = parts.at(2);
    if (what == "commit_group") {
      i.run = run_commit_group;
    } else if (what == "wait_all" || what == "wait_group") {
      i.run = run_wait_group;
      i.mode = what == "wait_all" ? uint8_t{0xff} : static_cast<uint8_t>(a.at(0).number);
      i.count = Count::kBarrier;
    } else {
      std::vector<std::string> kept;
      for (const auto& p : parts) {
        if (!p.starts_with("L2::")) kept.push_back(p == "shared::cta" ? "shared" : p);
      }
      if (kept.size() != 5 || (what != "ca" && what != "cg") || kept[3] != "shared" ||
          kept[4] != "global") {
        unknown();
      }
      Instruction from;
      address(a.at(1), from);
      if (from.address_bytes != 8) unknown();
      i.r[0] = from.address;
      i.target = static_cast<uint32_t>(from.offset);
      address(a.at(0), i);
      i.bytes = static_cast<uint8_t>(a.at(2).number);
      if (a.size() > 3) i.r[2] = slot(a[3], 4);
      i.run = run_copy_async;
      i.count = Count::kLoad;
      program_.global_granule = std::min<uint32_t>(program_.global_granule, i.bytes);
      program_.shared_granule = std::min<uint32_t>(program_.shared_granule, i.bytes);
    }
  }

  void cvta(Instruction& i, const std::vector<std::string>& parts) {
    const auto& a = statement_->arguments;
    const bool to = parts.at(1) == "to";
    const std::string& space = parts.at(to ? 2 : 1);
    if (parts.back() != "u64") unknown();
    i.mode = to ? 1 : 0;
    i.space = space == "shared"  ? Space::kShared
              : space == "local" ? Space::kLocal
                                 : Space::kGlobal;
    if (space != "shared" && space != "local" && space != "global" && space != "const") unknown();
    i.r[0] = slot(a.at(0), 8);
    i.r[1] = slot(a.at(1), 8);
    i.run = run_cvta;
  }

  void barrier(Instruction& i, const std::vector<std::string>& parts) {
    const auto& a = statement_->arguments;
    if (parts.at(1) == "warp") {  // bar.warp.sync members
      i.flow = Flow::kWarpWide;
      i.run = run_warp_barrier;
      i.members = slot(a.at(0), 4);
      const bool whole =
          a[0].kind == Argument::Kind::kNumber && static_cast<uint32_t>(a[0].number) == kAll;
      program_.partial_barriers |= !whole;
      i.count = Count::kBarrier;
      return;
    }
    const size_t what = parts[1] == "cta" ? 2 : 1;
    i.flow = Flow::kBarrier;
    i.count = Count::kBarrier;
    if (parts.at(what) == "sync") {
      for (size_t n = what + 1; n < parts.size(); ++n) {
        if (parts[n] != "aligned") unknown();
      }
      i.r[0] = slot(a.at(0), 4);
      if (a.size() > 1) i.r[1] = slot(a[1], 4);
      if (a.size() > 1 || a[0].kind != Argument::Kind::kNumber || a[0].number != 0) {
        program_.named_barriers = program_.partial_barriers = true;
      }
    } else if (parts[what] == "red") {  // bar.red.popc.u32 d, barrier, p; bar.red.and.pred p, ...
      i.mode = parts.at(what + 1) == "popc" ? 1 : parts[what + 1] == "and" ? 2 : 3;
      if (a.size() != 3) unknown();
      i.r[2] = slot(a[0], i.mode == 1 ? 4 : 0);
      i.r[0] = slot(a[1], 4);
      i.r[3] = slot(a[2], 0);
      i.saturate = a[2].negated;
    } else {
      unknown();
    }
  }

  void shuffle(Instruction& i, const std::vector<std::string>& parts) {
    const auto& a = statement_->arguments;
    if (parts.at(1) != "sync" || parts.back() != "b32") unknown();
    i.mode = parts[2] == "up"     ? kUp
             : parts[2] == "down" ? kDown
             : parts[2] == "bfly" ? kButterfly
                                  : kIndex;
    i.r[0] = slot(a.at(0), 4);
    if (!a[0].second.empty()) i.r[1] = register_slot(a[0].second);
    for (int n = 1; n <= 3; ++n) i.r[n + 1] = slot(a.at(n), 4);
    i.members = slot(a.at(4), 4);
    i.flow = Flow::kWarpWide;
    i.run = run_shuffle;
    i.count = Count::kShuffle;
  }

  void vote(Instruction& i, const std::vector<std::string>& parts) {
    const auto& a = statement_->arguments;
    if (parts.at(1) != "sync") unknown();
    i.mode = parts[2] == "any"   ? kAny
             : parts[2] == "all" ? kEvery
             : parts[2] == "uni" ? kUniform
                                 : kBallot;
    i.r[0] = slot(a.at(0), i.mode == kBallot ? 4 : 0);
    i.r[1] = slot(a.at(1), 0);
    i.saturate = a[1].negated;
    i.members = slot(a.at(2), 4);
    i.flow = Flow::kWarpWide;
    i.run = run_vote;
    i.count = Count::kShuffle;
  }

  void match(Instruction& i, const std::vector<std::string>& parts) {
    const auto& a = statement_->arguments;
    if (parts.at(2) != "sync") unknown();
    i.mode = parts[1] == "any" ? 0 : 1;
    i.bytes = static_cast<uint8_t>(type_bytes(parts.back()));
    i.r[0] = slot(a.at(0), 4);
    if (!a[0].second.empty()) i.r[1] = register_slot(a[0].second);
    i.r[2] = slot(a.at(1), i.bytes);
    i.members = slot(a.at(2), 4);
    i.flow = Flow::kWarpWide;
    i.run = run_match;
    i.count = Count::kShuffle;
  }

  void reduce(Instruction& i, const std::vector<std::string>& parts) {
    static const std::unordered_map<std::string, Atomic> kinds = {
        {"add", kAdd}, {"min", kMin}, {"max", kMax}, {"and", kAnd}, {"or", kOr}, {"xor", kXor}};
    const auto& a = statement_->arguments;
    const auto kind = kinds.find(parts.at(2));
    if (parts[1] != "sync" || kind == kinds.end() || type_bytes(parts.back()) != 4) unknown();
    i.mode = kind->second;
    i.is_signed = parts.back() == "s32";
    i.r[0] = slot(a.at(0), 4);
    i.r[1] = slot(a.at(1), 4);
    i.members = slot(a.at(2), 4);
    i.flow = Flow::kWarpWide;
    i.run = run_reduce;
    i.count = Count::kShuffle;
  }

  // ldmatrix.sync.aligned.m8n8.x4{.trans}.shared.b16 {...}, [address]
  void load_matrix(Instruction& i, const std::vector<std::string>& parts) {
    const auto& a = statement_->arguments;
    for (size_t n = 1; n < parts.size(); ++n) {
      const std::string& p = parts[n];
      if (p == "trans") {
        i.mode = 1;
      } else if (p == "x1" || p == "x2" || p == "x4") {
        i.parts = static_cast<uint8_t>(p[1] - '0');
      } else if (p != "sync" && p != "aligned" && p != "m8n8" && p != "shared" &&
                 p != "shared::cta" && p != "b16") {
        unknown();
      }
    }
    const Argument& data = a.at(0);
    if (data.kind != Argument::Kind::kVector || data.parts.size() != i.parts) unknown();
    for (uint32_t n = 0; n < i.parts; ++n) i.r[n] = slot(data.parts[n], 4);
    address(a.at(1), i);
    i.space = Space::kShared;
    i.bytes = 16;
    i.members = constant(kAll, 4);
    i.flow = Flow::kWarpWide;
    i.run = run_load_matrix;
    i.count = Count::kLoad;
    note_granule(i, 16);
  }

  // mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 d, a, b, c
  void mma(Instruction& i, const std::vector<std::string>& parts) {
    const auto& a = statement_->arguments;
    if (parts.size() != 10 || parts[1] != "sync" || parts[4] != "row" || parts[5] != "col" ||
        parts[6] != parts[9] || parts[7] != parts[8] || a.size() != 4) {
      unknown();
    }
    const int depth = parts[3] == "m16n8k16" ? 16 : parts[3] == "m16n8k8" ? 8 : 0;
    const bool wide = parts[6] == "f32";
    if (depth == 0 || (!wide && parts[6] != "f16")) unknown();
    i.mode = parts[7] == "f16" ? kF16 : parts[7] == "bf16" ? kBF16 : 0xff;
    if (i.mode == 0xff || (!wide && i.mode != kF16)) unknown();
    i.register_bytes = wide ? 4 : 2;
    i.parts = static_cast<uint8_t>(depth);
    size_t n = 0;
    for (const Argument& operand : a) {
      if (operand.kind != Argument::Kind::kVector) unknown();
      for (const Argument& part : operand.parts) i.r[n++] = slot(part, 4);
    }
    const size_t expected = 2 * (wide ? 4 : 2) + (depth == 16 ? 6 : 3);
    if (n != expected) unknown();
    i.members = constant(kAll, 4);
    i.flow = Flow::kWarpWide;
    i.run = run_mma;
    i.flops = static_cast<uint8_t>(16 * 8 * depth * 2 / kLanes);
  }

  // Arguments are copied into the function's frame, results back behind the call.
  void call(Instruction& i) {
    const std::string name = callee(*statement_);
    const Function& f = function(name);
    if (f.is_extern) {
      if (name != "__assertfail") throw PtxError("call of " + name);
      i.run = run_assert_failed;
      program_.code.push_back(std::move(i));
      return;
    }
    std::vector<Argument> results, arguments;
    bool behind = false;
    for (const Argument& a : statement_->arguments) {
      if (a.kind == Argument::Kind::kName) behind = true;
      if (a.kind == Argument::Kind::kVector) (behind ? arguments : results) = a.parts;
    }
    const Frame& frame = frames_.at(name);
    if (arguments.size() != frame.parameters.size() || results.size() != frame.results.size()) {
      unknown();
    }
    i.flow = Flow::kCall;
    i.members = frame.return_slot;
    for (size_t n = 0; n < arguments.size(); ++n) {
      Space space;
      i.table.push_back(static_cast<uint32_t>(address_of(arguments[n].name, &space)));
      i.table.push_back(frame.parameters[n]);
      i.table.push_back(frame.bytes[n]);
    }
    calls_.emplace_back(program_.code.size(), name);
    program_.code.push_back(std::move(i));
    Instruction back = begin_instruction();
    back.run = run_copy_local;
    for (size_t n = 0; n < results.size(); ++n) {
      Space space;
      back.table.push_back(frame.results[n]);
      back.table.push_back(static_cast<uint32_t>(address_of(results[n].name, &space)));
      back.table.push_back(frame.result_bytes[n]);
    }
    program_.code.push_back(std::move(back));
  }

  struct Frame {
    uint16_t return_slot = 0;
    std::vector<uint32_t> parameters, bytes, results, result_bytes;
  };

  const Symbols& symbols_;
  const std::string& drop_;
  Program program_;
  std::vector<const Function*> functions_;
  const Function* function_ = nullptr;
  const Statement* statement_ = nullptr;
  bool in_entry_ = false;
  std::unordered_map<std::string, uint16_t> register_slots_;
  std::map<std::pair<uint64_t, uint32_t>, uint16_t> constant_slots_;
  std::unordered_map<std::string, uint32_t> parameter_offsets_, shared_offsets_, local_offsets_;
  std::unordered_map<std::string, uint32_t> begins_;
  std::unordered_map<std::string, Frame> frames_;
  std::vector<std::pair<size_t, std::string>> calls_;           // instruction, function
  std::vector<std::pair<size_t, std::string>> dynamic_shared_;  // constant, variable
};

}  // namespace

bool is_barrier(const Statement& s) {
  for (const char* opcode : {"bar.sync", "bar.warp.sync", "barrier.sync", "barrier.cta.sync",
                             "cp.async.wait_group", "cp.async.wait_all"}) {
    if (s.opcode.starts_with(opcode)) return true;
  }
  return false;
}

Program decode(std::shared_ptr<const Module> module, const std::string& entry,
               const Symbols& symbols, const std::string& drop) {
  return Decoder(std::move(module), symbols, drop).run(entry);
}

}  // namespace kvbench::ptx
