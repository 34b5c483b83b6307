#include <algorithm>
#include <bit>
#include <cctype>
#include <cstring>

#include "kernels/ptx/module.h"

namespace kvbench::ptx {
namespace {

struct Token {
  std::string_view text;
  int line = 0;
};

bool word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' ||
         c == '.';
}

std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  int line = 1;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      ++i;
    } else if (std::isspace(static_cast<unsigned char>(c))) {
      ++i;
    } else if (text.substr(i, 2) == "//") {
      i = std::min(text.find('\n', i), text.size());
    } else if (text.substr(i, 2) == "/*") {
      const size_t end = text.find("*/", i);
      line += static_cast<int>(std::count(text.begin() + i, text.begin() + end, '\n'));
      i = end + 2;
    } else if (c == '"') {
      const size_t end = text.find('"', i + 1) + 1;
      tokens.push_back({text.substr(i, end - i), line});
      i = end;
    } else if (word(c)) {
      size_t end = i + 1;
      while (end < text.size() && (word(text[end]) || text.substr(end, 2) == "::" ||
                                   (text[end] == ':' && text[end - 1] == ':'))) {
        ++end;
      }
      tokens.push_back({text.substr(i, end - i), line});
      i = end;
    } else {
      tokens.push_back({text.substr(i, 1), line});
      ++i;
    }
  }
  return tokens;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(tokens_of(text)) {}

  Module run() {
    while (at_ < tokens_.size()) top_level();
    return std::move(module_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    const int line = at_ < tokens_.size() ? tokens_[at_].line : 0;
    throw PtxError("PTX line " + std::to_string(line) + ": " + what);
  }
  std::string_view peek(size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead].text : std::string_view();
  }
  std::string next() {
    if (at_ >= tokens_.size()) fail("ends early");
    return std::string(tokens_[at_++].text);
  }
  bool accept(std::string_view token) {
    if (peek() != token) return false;
    ++at_;
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) fail("expected " + std::string(token) + ", got " + std::string(peek()));
  }
  int integer() { return static_cast<int>(number().number); }

  Argument number() {
    Argument argument;
    argument.kind = Argument::Kind::kNumber;
    const bool negative = accept("-");
    std::string digits = next();
    if (digits.size() > 2 && digits[0] == '0' && std::strchr("fFdD", digits[1])) {
      argument.number_type = std::strchr("fF", digits[1]) ? 'f' : 'd';
      argument.number = std::stoull(digits.substr(2), nullptr, 16);
      if (negative) fail("a negated float immediate");
      return argument;
    }
    if (digits.empty() || !std::isdigit(static_cast<unsigned char>(digits[0]))) {
      fail("not a number: " + digits);
    }
    if (digits.back() == 'U') digits.pop_back();
    argument.number = digits.starts_with("0b") ? std::stoull(digits.substr(2), nullptr, 2)
                                               : std::stoull(digits, nullptr, 0);
    if (negative) argument.number = ~argument.number + 1;
    return argument;
  }

  void top_level() {
    const std::string token = next();
    if (token == ".version" || token == ".target") {
      const int line = tokens_[at_ - 1].line;
      while (at_ < tokens_.size() && tokens_[at_].line == line) ++at_;
    } else if (token == ".address_size") {
      if (next() != "64") fail("addresses that are not of 64 bits");
    } else if (token == ".file") {
      const int index = integer();
      const std::string name = next();
      module_.files[index] = name.substr(1, name.size() - 2);
      while (accept(",")) next();
    } else if (token == ".section") {
      while (next() != "{") {
      }
      while (next() != "}") {
      }
    } else if (token == ".visible" || token == ".weak" || token == ".common") {
      return;
    } else if (token == ".extern") {
      extern_ = true;
      return;
    } else if (token == ".entry" || token == ".func") {
      function(token == ".entry");
    } else if (token == ".global" || token == ".const" || token == ".shared") {
      variable(token, module_.variables, false);
    } else if (token == ";") {
    } else {
      fail("unknown directive " + token);
    }
    extern_ = false;
  }

  static Space space_of(std::string_view token) {
    if (token == ".global") return Space::kGlobal;
    if (token == ".const") return Space::kConstant;
    if (token == ".shared") return Space::kShared;
    if (token == ".local") return Space::kLocal;
    return Space::kParameter;
  }

  // Behind its space: .align N .type name[size] = {...}
  Variable declaration(std::string_view space) {
    Variable v;
    v.space = space_of(space);
    while (true) {
      if (accept(".align")) {
        v.alignment = static_cast<uint32_t>(integer());
      } else if (accept(".ptr")) {
        while (peek().starts_with(".") && peek() != ".align") ++at_;
      } else {
        break;
      }
    }
    const uint32_t element = type_bytes(next().substr(1));
    v.alignment = std::max(v.alignment, element);
    while (accept(".ptr") || accept(".global") || accept(".shared") || accept(".const")) {
    }
    if (accept(".align")) v.alignment = std::max(v.alignment, static_cast<uint32_t>(integer()));
    v.name = next();
    v.bytes = element;
    while (accept("[")) {
      if (accept("]")) {
        v.dynamic_size = true;
        v.bytes = 0;
      } else {
        v.bytes *= static_cast<uint32_t>(integer());
        expect("]");
      }
    }
    if (accept("=")) {
      const bool list = accept("{");
      do {
        const Argument value = number();
        const auto* bytes = reinterpret_cast<const uint8_t*>(&value.number);
        v.initial.insert(v.initial.end(), bytes, bytes + element);
      } while (list && accept(","));
      if (list) expect("}");
    }
    return v;
  }

  void variable(std::string_view space, std::vector<Variable>& to, bool in_function) {
    Variable v = declaration(space);
    if (in_function) v.name = scoped(v.name);
    to.push_back(std::move(v));
    expect(";");
  }

  std::vector<Variable> parameter_list() {
    std::vector<Variable> parameters;
    expect("(");
    while (!accept(")")) {
      expect(".param");
      parameters.push_back(declaration(".param"));
      accept(",");
    }
    return parameters;
  }

  void function(bool is_entry) {
    Function f;
    f.is_entry = is_entry;
    f.is_extern = extern_;
    if (peek() == "(") f.results = parameter_list();
    f.name = next();
    if (peek() == "(") f.parameters = parameter_list();
    while (peek().starts_with(".")) {
      const std::string directive = next();
      if (directive == ".maxntid" || directive == ".reqntid") {
        f.max_threads = 1;
        do {
          f.max_threads *= static_cast<uint32_t>(integer());
        } while (accept(","));
      } else if (directive == ".minnctapersm" || directive == ".maxnreg") {
        integer();
      } else if (directive == ".pragma") {
        next();
        accept(";");
      } else if (directive != ".noreturn") {
        fail("unknown directive " + directive);
      }
    }
    if (accept(";")) {
      for (const Function& known : module_.functions) {
        if (known.name == f.name) return;
      }
      f.is_extern = true;  // a prototype; its body may follow
      module_.functions.push_back(std::move(f));
      return;
    }
    expect("{");
    std::erase_if(module_.functions, [&](const Function& g) { return g.name == f.name; });
    function_ = &f;
    scopes_.assign(1, {});
    location_ = -1;
    n_scopes_ = 0;
    while (!scopes_.empty()) statement();
    module_.functions.push_back(std::move(f));
  }

  // A name of an inner block hides the same name outside; all of a function get unique names.
  std::string scoped(const std::string& name) {
    const std::string unique = scopes_.size() == 1 ? name : name + "@" + std::to_string(n_scopes_);
    scopes_.back()[name] = unique;
    return unique;
  }
  std::string resolve(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->find(name); found != scope->end()) return found->second;
    }
    return name;
  }

  void location() {
    Location l;
    l.file = integer();
    l.line = integer();
    l.column = integer();
    if (peek() == "," && peek(1) == "function_name") {
      at_ += 2;
      next();
      if (accept("+")) integer();
      expect(",");
      expect("inlined_at");
      const int file = integer(), line = integer(), column = integer();
      for (int i = static_cast<int>(module_.locations.size()) - 1; i >= 0; --i) {
        const Location& outer = module_.locations[i];
        if (outer.file == file && outer.line == line && outer.column == column) {
          l.inlined_at = i;
          break;
        }
      }
    }
    if (l.line == 0) return;  // "no line": the one before serves better
    module_.locations.push_back(l);
    location_ = static_cast<int>(module_.locations.size()) - 1;
  }

  void registers() {
    const std::string type = next().substr(1);
    do {
      const std::string name = next();
      if (accept("<")) {
        const int n = integer();
        expect(">");
        for (int i = 0; i < n; ++i) {
          function_->registers[scoped(name + std::to_string(i))] = type;
        }
      } else {
        function_->registers[scoped(name)] = type;
      }
    } while (accept(","));
    expect(";");
  }

  void statement() {
    const std::string_view first = peek();
    if (accept("{")) {
      scopes_.emplace_back();
      ++n_scopes_;
    } else if (accept("}")) {
      scopes_.pop_back();
    } else if (accept(";")) {
    } else if (accept(".loc")) {
      location();
    } else if (accept(".reg")) {
      registers();
    } else if (accept(".pragma")) {
      next();
      expect(";");
    } else if (first == ".shared" || first == ".local" || first == ".param" || first == ".const" ||
               first == ".global") {
      const std::string space = next();
      const bool of_module = space == ".const" || space == ".global";
      variable(space, of_module ? module_.variables : function_->variables, !of_module);
    } else if (peek(1) == ":") {
      const std::string label = next();
      next();
      if (accept(".branchtargets")) {
        auto& targets = function_->branch_targets[label];
        do {
          targets.push_back(next());
        } while (accept(","));
        expect(";");
      } else {
        function_->labels[label] = function_->body.size();
      }
    } else {
      instruction();
    }
  }

  void instruction() {
    Statement s;
    const size_t start = at_;
    s.location = location_;
    if (accept("@")) {
      s.guard_negated = accept("!");
      s.guard = resolve(next());
    }
    s.opcode = next();
    if (!std::isalpha(static_cast<unsigned char>(s.opcode[0]))) fail("not an opcode: " + s.opcode);
    while (!accept(";")) {
      s.arguments.push_back(argument());
      accept(",");
    }
    for (size_t i = start; i + 1 < at_; ++i) {
      if (i > start) s.text += ' ';
      s.text += tokens_[i].text;
    }
    function_->body.push_back(std::move(s));
  }

  Argument argument() {
    Argument a;
    if (accept("!")) {
      a = argument();
      a.negated = true;
      return a;
    }
    if (peek() == "{" || peek() == "(") {  // the latter: arguments of a call
      const std::string close = next() == "{" ? "}" : ")";
      a.kind = Argument::Kind::kVector;
      while (!accept(close)) {
        a.parts.push_back(argument());
        accept(",");
      }
      return a;
    }
    if (accept("[")) {
      a.kind = Argument::Kind::kMemory;
      a.parts.push_back(argument());
      if (a.parts[0].kind == Argument::Kind::kName) std::swap(a.number, a.parts[0].number);
      if (accept("+")) a.number += number().number;
      expect("]");
      return a;
    }
    const char c = peek()[0];
    if (c == '-' || std::isdigit(static_cast<unsigned char>(c))) return number();
    const std::string name = next();
    if (name == "_") return a;
    a.name = resolve(name);
    const bool special = name[0] == '%' && a.name == name && !function_->registers.contains(name);
    a.kind = special || function_->registers.contains(a.name) ? Argument::Kind::kRegister
                                                              : Argument::Kind::kName;
    if (accept("|")) a.second = resolve(next());
    if (a.kind == Argument::Kind::kName && accept("+")) a.number = number().number;
    return a;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  Module module_;
  bool extern_ = false;
  Function* function_ = nullptr;
  std::vector<std::unordered_map<std::string, std::string>> scopes_;
  int n_scopes_ = 0;
  int location_ = -1;
};

}  // namespace

uint32_t type_bytes(std::string_view type) {
  if (type == "pred") return 4;  // of all lanes, see Program
  const size_t digits = type.find_first_of("0123456789");
  if (digits == std::string_view::npos) throw PtxError("unknown type " + std::string(type));
  if (type == "bf16x2" || type == "f16x2") return 4;
  const int bits = std::stoi(std::string(type.substr(digits)));
  if (bits % 8 != 0 || bits > 128) throw PtxError("unknown type " + std::string(type));
  return static_cast<uint32_t>(bits / 8);
}

std::vector<std::string> Module::places(int location) const {
  std::vector<std::string> all;
  for (int i = location; i >= 0; i = locations[i].inlined_at) {
    const auto file = files.find(locations[i].file);
    if (file == files.end()) continue;
    const size_t folder = file->second.rfind("kernels/");
    const std::string name =
        folder == std::string::npos ? file->second : file->second.substr(folder);
    const bool toolkit = name.find("/include/") != std::string::npos;
    if (!toolkit) all.push_back(name + ":" + std::to_string(locations[i].line));
  }
  if (all.empty()) all.emplace_back("?");
  return all;
}

std::string Module::place(int location) const { return places(location)[0]; }

Module parse(std::string_view text) { return Parser(text).run(); }

}  // namespace kvbench::ptx
