#include "kernels/ptx/engine.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "kernels/ptx/launch.h"

namespace kvbench::ptx {

std::string Finding::text() const {
  if (kernel.empty()) return check + ": " + detail;
  std::string text = check + " in " + kernel + " at " + place + " `" + instruction + "`";
  if (!other_place.empty()) {
    text += ", earlier access at " + other_place + " `" + other_instruction + "`";
  }
  return text + ": " + detail + (count > 1 ? ", " + std::to_string(count) + " times" : "");
}

// ---- findings of a launch ----

std::string Machine::place(uint32_t code) const {
  const auto places = program.module->places(program.code[code].statement->location);
  std::string text = places[0];
  for (size_t n = 1; n < places.size(); ++n) text += (n == 1 ? " called at " : ", ") + places[n];
  return text;
}

void Machine::report(std::string_view check, const Warp& warp, int lane, std::string detail,
                     Reference other) {
  const int64_t other_code = other == 0 ? -1 : int64_t{log_of(other).code};
  auto& finding = findings[{std::string(check), warp.pc, other_code}];
  if (++finding.count > 1) return;
  const uint32_t thread = warp.index * kLanes + static_cast<uint32_t>(lane);
  finding.check = check;
  finding.kernel = program.name;
  finding.place = place(warp.pc);
  finding.instruction = program.code[warp.pc].statement->text;
  if (other_code >= 0) {
    finding.other_place = place(static_cast<uint32_t>(other_code));
    finding.other_instruction = program.code[static_cast<size_t>(other_code)].statement->text;
  }
  const auto triple = [](Dim d) {
    return "(" + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " + std::to_string(d.z) +
           ")";
  };
  const Dim at = {thread % block.x, thread / block.x % block.y, thread / block.x / block.y};
  finding.detail = "block " + triple(block_at) + " thread " + triple(at) + ": " + detail;
}

// ---- the process ----

Engine& Engine::get() {
  static Engine engine;
  return engine;
}

Engine::Engine() {
  if (const char* seed = std::getenv("KVBENCH_PTX_SEED")) seed_ = std::strtoull(seed, nullptr, 10);
  if (const char* place = std::getenv("KVBENCH_PTX_DROP")) drop_ = place;
}

int Engine::add_module(std::string_view ptx) {
  modules_.push_back({std::string(ptx), nullptr, {}, {}});
  return static_cast<int>(modules_.size()) - 1;
}

Engine::Loaded& Engine::load(int index) {
  Loaded& loaded = modules_.at(static_cast<size_t>(index));
  if (loaded.module != nullptr) return loaded;
  auto module = std::make_shared<Module>(parse(loaded.text));
  for (const Variable& v : module->variables) {
    if (v.space == Space::kShared) continue;
    uint8_t* at = arena_.allocate_variable(std::max(v.bytes, 1U), v.name);
    if (at == nullptr) throw PtxError("no memory for " + v.name);
    std::memset(at, 0, v.bytes);
    std::copy_n(v.initial.begin(), std::min<size_t>(v.initial.size(), v.bytes), at);
    std::memset(arena_.state(reinterpret_cast<uint64_t>(at)), kWritten, v.bytes);
    loaded.symbols[v.name] = reinterpret_cast<uint64_t>(at);
  }
  loaded.module = std::move(module);
  return loaded;
}

uint64_t Engine::variable(int module, const std::string& name) {
  const Symbols& symbols = load(module).symbols;
  const auto found = symbols.find(name);
  return found == symbols.end() ? 0 : found->second;
}

Program& Engine::program(int module, const std::string& kernel) {
  Loaded& loaded = load(module);
  auto& program = loaded.programs[kernel];
  if (program == nullptr) {
    program = std::make_unique<Program>(decode(loaded.module, kernel, loaded.symbols, drop_));
  }
  return *program;
}

const Program* Engine::find(int module, const std::string& kernel) {
  try {
    return &program(module, kernel);
  } catch (const PtxError& error) {
    Finding f;
    f.check = "PTX not understood";
    f.kernel = kernel;
    f.place = "?";
    f.detail = error.what();
    f.count = 1;
    finding(std::move(f));
    return nullptr;
  }
}

LaunchResult Engine::launch(int module, const std::string& kernel, Dim grid, Dim block,
                            uint32_t dynamic_shared_bytes, uint32_t allowed_shared_bytes,
                            void** arguments) {
  if (find(module, kernel) == nullptr) return LaunchResult::kBadPtx;
  Program& p = program(module, kernel);
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || block.z > 64 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
      grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535 ||
      (p.max_threads != 0 && threads > p.max_threads) || p.shared_bytes > 48 * 1024 ||
      p.shared_bytes + dynamic_shared_bytes > allowed_shared_bytes) {
    return LaunchResult::kBadConfiguration;
  }
  std::vector<uint8_t> parameters(p.parameter_bytes);
  uint32_t offset = 0;
  for (size_t n = 0; n < p.parameters.size(); ++n) {
    const Variable& v = p.parameters[n];
    offset = (offset + v.alignment - 1) / v.alignment * v.alignment;
    std::memcpy(parameters.data() + offset, arguments[n], v.bytes);
    offset += v.bytes;
  }
  if (next_access_ > (1U << 26)) {  // references have 27 bits for it
    arena_.forget_accesses();
    next_access_ = 1;
  }
  ++n_launches;
  Machine machine(p, arena_, grid, block, dynamic_shared_bytes, parameters.data(),
                  (seed_ * 1000003 + n_of_seed_++) * 0x9e3779b97f4a7c15ULL + 1);
  machine.step_limit = step_limit_;
  machine.first_access = next_access_;
  machine.block_stamp = block_stamp_;
  machine.launch_stamp = ++launch_stamp_;
  bool ended = true;
  try {
    machine.run();
  } catch (const Stop&) {
    ended = false;
  }
  next_access_ += static_cast<uint32_t>(machine.log.size());
  block_stamp_ = machine.block_stamp;
  for (auto& [key, found] : machine.findings) findings_.push_back(std::move(found));
  machine.counted.launches = 1;
  memory_counters_[p.name] += machine.counted;
  return ended ? LaunchResult::kOk : LaunchResult::kFailed;
}

std::vector<Finding> take_findings() { return std::exchange(Engine::get().findings_, {}); }

void Counters::operator+=(const Counters& o) {
  launches += o.launches;
  warp_instructions += o.warp_instructions;
  thread_instructions += o.thread_instructions;
  flops += o.flops;
  special_functions += o.special_functions;
  shuffles += o.shuffles;
  barriers += o.barriers;
  atomics += o.atomics;
  for (const auto& [to, from] : {std::pair{&loads, &o.loads}, {&stores, &o.stores}}) {
    to->requests += from->requests;
    to->asked_bytes += from->asked_bytes;
    to->sectors += from->sectors;
    to->block_distinct_sectors += from->block_distinct_sectors;
    to->launch_distinct_sectors += from->launch_distinct_sectors;
  }
  shared_requests += o.shared_requests;
  shared_wavefronts += o.shared_wavefronts;
  shared_ideal_wavefronts += o.shared_ideal_wavefronts;
}

std::vector<NamedCounters> all_counters() {
  Engine& engine = Engine::get();
  std::map<std::string, Counters> by_name = engine.memory_counters_;
  for (const auto& loaded : engine.modules_) {
    for (const auto& [kernel, program] : loaded.programs) {
      if (program == nullptr) continue;
      Counters c;
      for (size_t n = 0; n < program->code.size(); ++n) {
        const Instruction& i = program->code[n];
        const InstructionCount& ran = program->counts[n];
        c.warp_instructions += ran.warps;
        c.thread_instructions += ran.lanes;
        c.flops += ran.lanes * i.flops;
        switch (i.count) {
          case Count::kSpecialFunction:
            c.special_functions += ran.lanes;
            break;
          case Count::kShuffle:
            c.shuffles += ran.lanes;
            break;
          case Count::kBarrier:
            c.barriers += ran.lanes;
            break;
          case Count::kAtomic:
            c.atomics += ran.lanes;
            break;
          default:
            break;
        }
      }
      if (c.warp_instructions > 0) by_name[program->name] += c;
    }
  }
  std::vector<NamedCounters> all;
  for (auto& [name, counters] : by_name) all.push_back({name, counters});
  return all;
}

Counters counters(std::string_view kernel) {
  Counters sum;
  for (const auto& [name, c] : all_counters()) {
    if (name.find(kernel) != std::string::npos) sum += c;
  }
  return sum;
}

void reset_counters() {
  Engine& engine = Engine::get();
  engine.memory_counters_.clear();
  for (auto& loaded : engine.modules_) {
    for (auto& [kernel, program] : loaded.programs) {
      if (program != nullptr)
        std::fill(program->counts.begin(), program->counts.end(), InstructionCount());
    }
  }
}

std::vector<BarrierLine> barrier_lines() {
  Engine& engine = Engine::get();
  std::map<std::string, uint64_t> lines;
  for (size_t m = 0; m < engine.modules_.size(); ++m) {
    const auto& loaded = engine.load(static_cast<int>(m));
    for (const Function& f : loaded.module->functions) {
      for (const Statement& s : f.body) {
        if (is_barrier(s)) lines[loaded.module->place(s.location)];
      }
    }
    for (const auto& [kernel, program] : loaded.programs) {
      if (program == nullptr) continue;
      for (size_t n = 0; n < program->code.size(); ++n) {
        const Statement& s = *program->code[n].statement;
        if (is_barrier(s)) lines[loaded.module->place(s.location)] += program->counts[n].warps;
      }
    }
  }
  std::vector<BarrierLine> all;
  for (const auto& [place, executed] : lines) all.push_back({place, executed});
  return all;
}

std::vector<std::string> kernels_not_run() {
  Engine& engine = Engine::get();
  std::vector<std::string> names;
  for (size_t m = 0; m < engine.modules_.size(); ++m) {
    const auto& loaded = engine.load(static_cast<int>(m));
    for (const Function& f : loaded.module->functions) {
      if (!f.is_entry) continue;
      const auto known = loaded.programs.find(f.name);
      const bool ran =
          known != loaded.programs.end() && known->second != nullptr &&
          std::ranges::any_of(known->second->counts,
                              [](const InstructionCount& count) { return count.warps > 0; });
      if (!ran) names.push_back(f.name);
    }
  }
  return names;
}

uint64_t take_read_hash() { return std::exchange(Engine::get().read_hash, 0); }

uint64_t launches() { return Engine::get().n_launches; }
uint64_t synchronisations() { return Engine::get().n_synchronisations; }

void set_seed(uint64_t seed) {
  Engine::get().seed_ = seed;
  Engine::get().n_of_seed_ = 0;
}

void set_step_limit(uint64_t steps) { Engine::get().step_limit_ = steps; }

std::string counters_json() {
  std::string json;
  for (const auto& [name, c] : all_counters()) {
    const auto field = [&](const char* key, uint64_t value) {
      json += ", \"" + std::string(key) + "\": " + std::to_string(value);
    };
    const auto memory = [&](const std::string& of, const MemoryCounters& m) {
      field((of + "_requests").c_str(), m.requests);
      field((of + "_asked_bytes").c_str(), m.asked_bytes);
      field((of + "_sectors").c_str(), m.sectors);
      field((of + "_block_distinct_sectors").c_str(), m.block_distinct_sectors);
      field((of + "_launch_distinct_sectors").c_str(), m.launch_distinct_sectors);
    };
    json += "{\"kernel\": \"" + name + "\"";
    field("launches", c.launches);
    field("warp_instructions", c.warp_instructions);
    field("thread_instructions", c.thread_instructions);
    field("flops", c.flops);
    field("special_functions", c.special_functions);
    field("shuffles", c.shuffles);
    field("barriers", c.barriers);
    field("atomics", c.atomics);
    memory("load", c.loads);
    memory("store", c.stores);
    field("shared_requests", c.shared_requests);
    field("shared_wavefronts", c.shared_wavefronts);
    field("shared_ideal_wavefronts", c.shared_ideal_wavefronts);
    json += "}\n";
  }
  return json;
}

}  // namespace kvbench::ptx
