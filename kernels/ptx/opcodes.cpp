// What each opcode runs, and on which operands.
#include "kernels/ptx/operands.h"

namespace kvbench::ptx {
namespace {

class Opcode {
 public:
  Opcode(Operands& operands, Instruction& instruction)
      : o(operands),
        i(instruction),
        s(*operands.statement),
        a(operands.statement->arguments),
        parts(split_opcode(s.opcode)) {}

  void decode() {
    const std::string& name = parts[0];
    if (name == "bar" || name == "barrier") {
      barrier();
    } else if (name == "membar" || name == "fence" || name == "nanosleep" || name == "prefetch" ||
               name == "pmevent" || name == "discard" || name == "applypriority") {
      // Order nothing here: kernels do not order blocks.
    } else if (name == "ld" || name == "ldu") {
      load();
    } else if (name == "st") {
      store();
    } else if (name == "atom" || name == "red") {
      atomic();
    } else if (name == "cp") {
      copy_async();
    } else if (name == "cvta") {
      cvta();
    } else if (name == "cvt") {
      conversion();
    } else if (name == "shfl") {
      shuffle();
    } else if (name == "vote") {
      vote();
    } else if (name == "match") {
      match();
    } else if (name == "redux") {
      reduce();
    } else if (name == "activemask") {
      i.run = run_active_mask;
      i.r[0] = o.slot(a[0], 4);
    } else if (name == "ldmatrix") {
      load_matrix();
    } else if (name == "mma") {
      mma();
    } else if (name == "mov" && a.size() == 2 && pack()) {
      // done
    } else if (name == "setp") {
      set_predicate();
    } else {
      arithmetic();
    }
  }

 private:
  void arithmetic() {
    const auto found = operations().find(s.opcode);
    if (found == operations().end()) o.unknown();
    const std::string_view widths = found->second.widths;
    if (widths.size() != a.size()) o.unknown();
    for (size_t n = 0; n < widths.size(); ++n) {
      if (a[n].negated || !a[n].second.empty()) o.unknown();
      i.r[n] = o.slot(a[n], bytes_of(widths[n]));
    }
    i.run = found->second.run;
    i.flops = found->second.flops;
    i.count = found->second.count;
  }

  static uint32_t bytes_of(char width) {
    return width == 'p' ? 0 : width == 'h' ? 2 : width == 'w' ? 4 : 8;
  }

  void set_predicate() {
    std::string key = parts[0];
    for (size_t n = 1; n < parts.size(); ++n) {
      if (n == 2 && (parts[n] == "and" || parts[n] == "or" || parts[n] == "xor")) {
        i.mode = parts[n] == "and" ? 1 : parts[n] == "or" ? 2 : 3;
      } else {
        key += "." + parts[n];
      }
    }
    const auto found = operations().find(key);
    if (found == operations().end() || a.size() != (i.mode == 0 ? 3U : 4U)) o.unknown();
    const std::string_view widths = found->second.widths;
    i.r[0] = o.slot(a[0], 0);
    if (!a[0].second.empty()) i.r[1] = o.register_slot(a[0].second);
    i.r[2] = o.slot(a[1], bytes_of(widths[1]));
    i.r[3] = o.slot(a[2], bytes_of(widths[2]));
    if (i.mode != 0) {
      i.r[4] = o.slot(a[3], 0);
      i.negated = a[3].negated;
    }
    i.run = found->second.run;
  }

  bool pack() {
    const bool packs = a[1].kind == Argument::Kind::kVector;
    const bool unpacks = a[0].kind == Argument::Kind::kVector;
    if (packs == unpacks) return false;
    const Argument& vector = a[packs ? 1 : 0];
    i.register_bytes = static_cast<uint8_t>(type_bytes(parts.back()));
    i.n_arguments = static_cast<uint32_t>(vector.parts.size());
    i.bytes = static_cast<uint8_t>(i.register_bytes / i.n_arguments);
    i.r[0] = o.slot(a[packs ? 0 : 1], i.register_bytes);
    for (uint32_t n = 0; n < i.n_arguments; ++n) i.r[n + 1] = o.slot(vector.parts[n], i.bytes);
    i.run = packs ? run_pack : run_unpack;
    return true;
  }

  void conversion() {
    decode_conversion(s.opcode, i);
    const auto any_width = [&](const Argument& x) -> uint32_t {
      if (x.kind == Argument::Kind::kRegister) return o.register_bytes(x.name);
      return s.opcode.ends_with("64") ? 8 : 4;
    };
    i.register_bytes = static_cast<uint8_t>(any_width(a[0]));
    i.source_bytes = static_cast<uint8_t>(any_width(a[1]));
    i.r[0] = o.slot(a[0], i.register_bytes);
    i.r[1] = o.slot(a[1], i.source_bytes);
    if (a.size() == 3) i.r[2] = o.slot(a[2], 4);
    const bool pair = s.opcode.find("x2") != std::string::npos;
    if (pair != (a.size() == 3)) o.unknown();
  }

  // Modifiers of a memory operation that are not its type. Cache hints change no result.
  void memory_modifiers(const std::vector<std::string>& of) {
    static const std::set<std::string> hints = {
        // clang-format off
        "ca", "cg", "cs", "lu", "cv", "wb", "wt", "volatile", "weak", "L1::evict_last",
        "L1::evict_first", "L1::no_allocate", "L1::evict_normal", "L1::evict_unchanged", "L2::64B",
        "L2::128B", "L2::256B"
        // clang-format on
    };
    for (size_t n = 1; n + 1 < of.size(); ++n) {
      const std::string& p = of[n];
      if (p == "global") {
        i.space = Space::kGlobal;
      } else if (p.starts_with("shared")) {
        if (p != "shared" && p != "shared::cta") o.unknown();
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
        o.unknown();
      }
    }
    i.bytes = static_cast<uint8_t>(type_bytes(parts.back()));
    i.is_signed = parts.back()[0] == 's';
    i.is_float = parts.back()[0] == 'f';
  }

  void note_granule(uint32_t bytes) {
    if (i.space == Space::kGlobal || i.space == Space::kGeneric) {
      o.program.global_granule = std::min(o.program.global_granule, bytes);
    }
    if (i.space == Space::kShared || i.space == Space::kGeneric) {
      o.program.shared_granule = std::min(o.program.shared_granule, bytes);
    }
  }

  void data_registers(const Argument& data) {
    const bool vector = data.kind == Argument::Kind::kVector;
    if (vector != (i.parts > 1)) o.unknown();
    const std::vector<Argument> one = {data};
    const std::vector<Argument>& all = vector ? data.parts : one;
    if (all.size() != i.parts) o.unknown();
    i.register_bytes = i.bytes < 2 ? 2 : i.bytes;
    for (const Argument& x : all) {
      if (x.kind == Argument::Kind::kRegister) {
        i.register_bytes = static_cast<uint8_t>(o.register_bytes(x.name));
      }
    }
    if (i.register_bytes < i.bytes) o.unknown();
    for (uint32_t n = 0; n < i.parts; ++n) i.r[n] = o.slot(all[n], i.register_bytes);
  }

  void settle_space(Space named) {
    // In functions and for calls parameters lie in local memory.
    if (i.space == Space::kParameter && named == Space::kLocal) i.space = Space::kLocal;
    if (i.space == Space::kGeneric && named != Space::kGeneric) i.space = named;
  }

  void load() {
    memory_modifiers(parts);
    settle_space(o.address(a.at(1), i));
    data_registers(a[0]);
    i.run = run_load;
    if (i.space == Space::kParameter) {
      i.run = run_load_parameter;
      if (i.address_bytes != 8) o.unknown();
    }
    note_granule(uint32_t{i.bytes} * i.parts);
  }

  void store() {
    memory_modifiers(parts);
    settle_space(o.address(a.at(0), i));
    data_registers(a.at(1));
    if (i.space == Space::kParameter || i.space == Space::kConstant) o.unknown();
    i.run = run_store;
    note_granule(uint32_t{i.bytes} * i.parts);
  }

  void atomic() {
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
    if (!has_kind) o.unknown();
    memory_modifiers(rest);
    const std::string& type = parts.back();
    const bool bitwise = i.mode >= kAnd && i.mode <= kCompareSwap;
    const bool known = i.is_float     ? i.mode == kAdd && (i.bytes == 4 || i.bytes == 8)
                       : i.bytes == 2 ? i.mode == kCompareSwap
                                      : i.bytes >= 4 && i.bytes <= 8 && type != "bf16x2" &&
                                            (bitwise || type[0] != 'b');
    if (!known) o.unknown();
    const size_t first = parts[0] == "red" ? 0 : 1;
    i.register_bytes = i.bytes;
    if (first == 1) i.r[0] = o.slot(a.at(0), i.bytes);
    settle_space(o.address(a.at(first), i));
    i.r[1] = o.slot(a.at(first + 1), i.bytes);
    if (i.mode == kCompareSwap) i.r[2] = o.slot(a.at(first + 2), i.bytes);
    i.run = run_atomic;
    o.program.atomics = true;
    i.count = Count::kAtomic;
    note_granule(i.bytes);
  }

  // cp.async.{ca,cg}.shared.global [to], [from], bytes{, source bytes}
  void copy_async() {
    if (parts.at(1) != "async") o.unknown();
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
        o.unknown();
      }
      Instruction from;
      o.address(a.at(1), from);
      if (from.address_bytes != 8) o.unknown();
      i.r[0] = from.address;
      i.target = static_cast<uint32_t>(from.offset);
      o.address(a.at(0), i);
      i.bytes = static_cast<uint8_t>(a.at(2).number);
      if (a.size() > 3) i.r[2] = o.slot(a[3], 4);
      i.run = run_copy_async;
      o.program.global_granule = std::min<uint32_t>(o.program.global_granule, i.bytes);
      o.program.shared_granule = std::min<uint32_t>(o.program.shared_granule, i.bytes);
    }
  }

  void cvta() {
    const bool to = parts.at(1) == "to";
    const std::string& space = parts.at(to ? 2 : 1);
    if (parts.back() != "u64") o.unknown();
    i.mode = to ? 1 : 0;
    i.space = space == "shared"  ? Space::kShared
              : space == "local" ? Space::kLocal
                                 : Space::kGlobal;
    if (space != "shared" && space != "local" && space != "global" && space != "const") o.unknown();
    i.r[0] = o.slot(a.at(0), 8);
    i.r[1] = o.slot(a.at(1), 8);
    i.run = run_cvta;
  }

  void barrier() {
    if (parts.at(1) == "warp") {  // bar.warp.sync members
      i.flow = Flow::kWarpWide;
      i.run = run_warp_barrier;
      i.members = o.slot(a.at(0), 4);
      const bool whole =
          a[0].kind == Argument::Kind::kNumber && static_cast<uint32_t>(a[0].number) == kAll;
      o.program.partial_barriers |= !whole;
      i.count = Count::kBarrier;
      return;
    }
    const size_t what = parts[1] == "cta" ? 2 : 1;
    i.flow = Flow::kBarrier;
    i.count = Count::kBarrier;
    if (parts.at(what) == "sync") {
      for (size_t n = what + 1; n < parts.size(); ++n) {
        if (parts[n] != "aligned") o.unknown();
      }
      i.r[0] = o.slot(a.at(0), 4);
      if (a.size() > 1) i.r[1] = o.slot(a[1], 4);
      if (a.size() > 1 || a[0].kind != Argument::Kind::kNumber || a[0].number != 0) {
        o.program.named_barriers = o.program.partial_barriers = true;
      }
    } else if (parts[what] == "red") {  // bar.red.popc.u32 d, barrier, p; bar.red.and.pred p, ...
      i.mode = parts.at(what + 1) == "popc" ? 1 : parts[what + 1] == "and" ? 2 : 3;
      if (a.size() != 3) o.unknown();
      i.r[2] = o.slot(a[0], i.mode == 1 ? 4 : 0);
      i.r[0] = o.slot(a[1], 4);
      i.r[3] = o.slot(a[2], 0);
      i.negated = a[2].negated;
    } else {
      o.unknown();
    }
  }

  void shuffle() {
    if (parts.at(1) != "sync" || parts.back() != "b32") o.unknown();
    i.mode = parts[2] == "up"     ? kUp
             : parts[2] == "down" ? kDown
             : parts[2] == "bfly" ? kButterfly
                                  : kIndex;
    i.r[0] = o.slot(a.at(0), 4);
    if (!a[0].second.empty()) i.r[1] = o.register_slot(a[0].second);
    for (int n = 1; n <= 3; ++n) i.r[n + 1] = o.slot(a.at(n), 4);
    i.members = o.slot(a.at(4), 4);
    i.flow = Flow::kWarpWide;
    i.run = run_shuffle;
    i.count = Count::kShuffle;
  }

  void vote() {
    if (parts.at(1) != "sync") o.unknown();
    i.mode = parts[2] == "any"   ? kAny
             : parts[2] == "all" ? kEvery
             : parts[2] == "uni" ? kUniform
                                 : kBallot;
    i.r[0] = o.slot(a.at(0), i.mode == kBallot ? 4 : 0);
    i.r[1] = o.slot(a.at(1), 0);
    i.negated = a[1].negated;
    i.members = o.slot(a.at(2), 4);
    i.flow = Flow::kWarpWide;
    i.run = run_vote;
    i.count = Count::kShuffle;
  }

  void match() {
    if (parts.at(2) != "sync") o.unknown();
    i.mode = parts[1] == "any" ? 0 : 1;
    i.bytes = static_cast<uint8_t>(type_bytes(parts.back()));
    i.r[0] = o.slot(a.at(0), 4);
    if (!a[0].second.empty()) i.r[1] = o.register_slot(a[0].second);
    i.r[2] = o.slot(a.at(1), i.bytes);
    i.members = o.slot(a.at(2), 4);
    i.flow = Flow::kWarpWide;
    i.run = run_match;
    i.count = Count::kShuffle;
  }

  void reduce() {
    static const std::unordered_map<std::string, Atomic> kinds = {
        {"add", kAdd}, {"min", kMin}, {"max", kMax}, {"and", kAnd}, {"or", kOr}, {"xor", kXor}};
    const auto kind = kinds.find(parts.at(2));
    if (parts[1] != "sync" || kind == kinds.end() || type_bytes(parts.back()) != 4) o.unknown();
    i.mode = kind->second;
    i.is_signed = parts.back() == "s32";
    i.r[0] = o.slot(a.at(0), 4);
    i.r[1] = o.slot(a.at(1), 4);
    i.members = o.slot(a.at(2), 4);
    i.flow = Flow::kWarpWide;
    i.run = run_reduce;
    i.count = Count::kShuffle;
  }

  // ldmatrix.sync.aligned.m8n8.x4{.trans}.shared.b16 {...}, [address]
  void load_matrix() {
    for (size_t n = 1; n < parts.size(); ++n) {
      const std::string& p = parts[n];
      if (p == "trans") {
        i.mode = 1;
      } else if (p == "x1" || p == "x2" || p == "x4") {
        i.parts = static_cast<uint8_t>(p[1] - '0');
      } else if (p != "sync" && p != "aligned" && p != "m8n8" && p != "shared" &&
                 p != "shared::cta" && p != "b16") {
        o.unknown();
      }
    }
    const Argument& data = a.at(0);
    if (data.kind != Argument::Kind::kVector || data.parts.size() != i.parts) o.unknown();
    for (uint32_t n = 0; n < i.parts; ++n) i.r[n] = o.slot(data.parts[n], 4);
    o.address(a.at(1), i);
    i.space = Space::kShared;
    i.bytes = 16;
    i.members = o.constant(kAll, 4);
    i.flow = Flow::kWarpWide;
    i.run = run_load_matrix;
    note_granule(16);
  }

  // mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 d, a, b, c
  void mma() {
    if (parts.size() != 10 || parts[1] != "sync" || parts[4] != "row" || parts[5] != "col" ||
        parts[6] != parts[9] || parts[7] != parts[8] || a.size() != 4) {
      o.unknown();
    }
    const int depth = parts[3] == "m16n8k16" ? 16 : parts[3] == "m16n8k8" ? 8 : 0;
    const bool wide = parts[6] == "f32";
    if (depth == 0 || (!wide && parts[6] != "f16")) o.unknown();
    i.mode = parts[7] == "f16" ? kF16 : parts[7] == "bf16" ? kBF16 : 0xff;
    if (i.mode == 0xff || (!wide && i.mode != kF16)) o.unknown();
    i.register_bytes = wide ? 4 : 2;
    i.parts = static_cast<uint8_t>(depth);
    size_t n = 0;
    for (const Argument& operand : a) {
      if (operand.kind != Argument::Kind::kVector) o.unknown();
      for (const Argument& part : operand.parts) i.r[n++] = o.slot(part, 4);
    }
    const size_t expected = 2 * (wide ? 4 : 2) + (depth == 16 ? 6 : 3);
    if (n != expected) o.unknown();
    i.members = o.constant(kAll, 4);
    i.flow = Flow::kWarpWide;
    i.run = run_mma;
    i.flops = static_cast<uint8_t>(16 * 8 * depth * 2 / kLanes);
  }

  Operands& o;
  Instruction& i;
  const Statement& s;
  const std::vector<Argument>& a;
  const std::vector<std::string> parts;
};

}  // namespace

std::vector<std::string> split_opcode(const std::string& opcode) {
  std::vector<std::string> parts;
  for (size_t at = 0; at != std::string::npos;) {
    const size_t dot = opcode.find('.', at);
    parts.push_back(opcode.substr(at, dot == std::string::npos ? dot : dot - at));
    at = dot == std::string::npos ? dot : dot + 1;
  }
  return parts;
}

void decode_opcode(Operands& operands, Instruction& instruction) {
  Opcode(operands, instruction).decode();
}

bool is_barrier(const Statement& s) {
  for (const char* opcode : {"bar.sync", "bar.warp.sync", "barrier.sync", "barrier.cta.sync",
                             "cp.async.wait_group", "cp.async.wait_all"}) {
    if (s.opcode.starts_with(opcode)) return true;
  }
  return false;
}

}  // namespace kvbench::ptx
