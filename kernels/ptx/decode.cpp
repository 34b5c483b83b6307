// From a kernel's statements to a program: its functions, their order, branches and calls.
#include <cxxabi.h>

#include <cstdlib>

#include "kernels/ptx/operands.h"

namespace kvbench::ptx {
namespace {

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

class Decoder : private Operands {
 public:
  Decoder(std::shared_ptr<const Module> module, const Symbols& symbols, const std::string& drop)
      : Operands(symbols), drop_(drop) {
    program.module = std::move(module);
  }

  Program run(const std::string& entry) {
    const Function& kernel = find(entry);
    program.name = short_name(entry);
    program.max_threads = kernel.max_threads;
    place_parameters(kernel.parameters);
    for (const Variable& v : program.module->variables) {
      if (v.space == Space::kShared && !v.dynamic_size) place_shared(v);
    }
    functions_.push_back(&kernel);
    // Called functions come first, so that lanes in them run before those behind the call.
    collect_calls(kernel);
    for (size_t f = functions_.size(); f-- > 0;) add_function(*functions_[f]);
    settle_dynamic_shared();
    for (const auto& [index, name] : calls_) program.code[index].target = begins_.at(name);
    program.entry = begins_.at(entry);
    program.counts.resize(program.code.size());
    return std::move(program);
  }

 private:
  const Function& find(const std::string& name) const {
    for (const Function& f : program.module->functions) {
      if (f.name == name) return f;
    }
    throw PtxError("no function " + name);
  }

  // Callees behind their callers.
  void collect_calls(const Function& f, int depth = 0) {
    if (depth > 16) throw PtxError("recursion in " + f.name);
    for (const Statement& s : f.body) {
      if (!s.opcode.starts_with("call")) continue;
      const Function& g = find(callee(s));
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

  void add_function(const Function& f) {
    begin_function(f);
    for (const Variable& v : f.variables) {
      if (v.space == Space::kShared && !v.dynamic_size) place_shared(v);
      if (v.space == Space::kLocal || v.space == Space::kParameter) place_local(v);
    }
    if (!f.is_entry) {  // parameters and results of calls lie in local memory
      Frame& frame = frames_[f.name];
      frame.return_slot = new_slot(4);
      for (const Variable& v : f.parameters) frame.parameters.push_back({place_local(v), v.bytes});
      for (const Variable& v : f.results) frame.results.push_back({place_local(v), v.bytes});
    }
    const auto begin = static_cast<uint32_t>(program.code.size());
    begins_[f.name] = begin;
    // A label's place is that of the statement; calls with a result take two instructions.
    std::vector<uint32_t> places;
    for (const Statement& s : f.body) {
      places.push_back(static_cast<uint32_t>(program.code.size()));
      statement = &s;
      add_statement();
    }
    places.push_back(static_cast<uint32_t>(program.code.size()));
    if (f.body.empty() || (f.body.back().opcode != "ret" && f.body.back().opcode != "exit")) {
      Instruction i;  // falling off the end returns
      i.flow = f.is_entry ? Flow::kExit : Flow::kReturn;
      i.members = f.is_entry ? uint16_t{0} : frames_[f.name].return_slot;
      i.run = run_nothing;
      i.statement = statement;
      program.code.push_back(std::move(i));
    }
    const auto place = [&](const std::string& label) {
      const auto at = f.labels.find(label);
      if (at == f.labels.end()) throw PtxError("unknown label " + label);
      return places[at->second];
    };
    for (uint32_t at = begin; at < program.code.size(); ++at) {
      Instruction& i = program.code[at];
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
    i.statement = statement;
    if (!statement->guard.empty()) {
      i.guard = register_slot(statement->guard);
      i.guard_negated = statement->guard_negated;
    }
    return i;
  }

  void add_statement() {
    Instruction i = begin_instruction();
    const Statement& s = *statement;
    const std::string name = split_opcode(s.opcode)[0];
    if (!drop_.empty() && is_barrier(s) && program.module->place(s.location) == drop_) {
      // left out
    } else if (name == "bra") {
      i.flow = Flow::kBranch;
    } else if (name == "brx") {
      i.flow = Flow::kBranchTable;
      i.r[0] = slot(s.arguments[0], 4);
    } else if (name == "ret" || name == "exit") {
      i.flow = in_entry || name == "exit" ? Flow::kExit : Flow::kReturn;
      if (i.flow == Flow::kReturn) i.members = frames_[function->name].return_slot;
    } else if (name == "call") {
      call(i);
      return;
    } else {
      decode_opcode(*this, i);
    }
    program.code.push_back(std::move(i));
  }

  // Arguments are copied into the function's frame, results back behind the call.
  void call(Instruction& i) {
    const std::string name = callee(*statement);
    const Function& f = find(name);
    if (f.is_extern) {
      if (name != "__assertfail") throw PtxError("call of " + name);
      i.run = run_assert_failed;
      program.code.push_back(std::move(i));
      return;
    }
    std::vector<Argument> results, arguments;
    bool behind = false;
    for (const Argument& a : statement->arguments) {
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
      const auto from = static_cast<uint32_t>(address_of(arguments[n].name, &space));
      i.table.insert(i.table.end(), {from, frame.parameters[n].at, frame.parameters[n].bytes});
    }
    calls_.emplace_back(program.code.size(), name);
    program.code.push_back(std::move(i));
    Instruction back = begin_instruction();
    back.run = run_copy_local;
    for (size_t n = 0; n < results.size(); ++n) {
      Space space;
      const auto to = static_cast<uint32_t>(address_of(results[n].name, &space));
      back.table.insert(back.table.end(), {frame.results[n].at, to, frame.results[n].bytes});
    }
    program.code.push_back(std::move(back));
  }

  struct Place {
    uint32_t at = 0, bytes = 0;
  };
  struct Frame {
    uint16_t return_slot = 0;
    std::vector<Place> parameters, results;
  };
  const std::string& drop_;
  std::vector<const Function*> functions_;
  std::unordered_map<std::string, uint32_t> begins_;
  std::unordered_map<std::string, Frame> frames_;
  std::vector<std::pair<size_t, std::string>> calls_;  // instruction, function
};

}  // namespace

Program decode(std::shared_ptr<const Module> module, const std::string& entry,
               const Symbols& symbols, const std::string& drop) {
  return Decoder(std::move(module), symbols, drop).run(entry);
}

}  // namespace kvbench::ptx
