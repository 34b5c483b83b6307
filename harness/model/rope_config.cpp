#include "harness/model/rope_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/base/names.h"

namespace kvbench {
namespace {

using Type = RopeScaling::Type;

// "type" was the key of transformers before 4.43; later ones write both, the same.
std::optional<std::string> type_name(const JsonView& rope) {
  const auto name = rope.find("rope_type"), old_name = rope.find("type");
  if (name && old_name && name->text() != old_name->text()) {
    rope.fail(fmt::format("rope_type is {}, type {}: expected one of them, or the same",
                          name->text(), old_name->text()));
  }
  if (name) return name->text();
  if (old_name) return old_name->text();
  return std::nullopt;
}

Type find_type(const JsonView& rope) {
  const auto name = type_name(rope);
  if (!name && rope.find("factor")) rope.fail("\"rope_type\" is missing beside a factor");
  if (!name || *name == "default") return Type::kNone;
  if (*name == "linear") return Type::kLinear;
  if (*name == "dynamic") return Type::kDynamic;
  if (*name == "yarn") return Type::kYarn;
  if (*name == "llama3") return Type::kLlama3;
  rope.fail(unknown_name("rope_type", *name, {"default", "linear", "dynamic", "yarn", "llama3"}));
}

// Beside the other numbers, or outside of them (Phi's habit, which others took over).
std::optional<int64_t> stated_original(const JsonView& config, const JsonView& rope) {
  constexpr const char* kKey = "original_max_position_embeddings";
  constexpr int64_t kMost = int64_t{1} << 31;
  const auto inside = rope.find(kKey), outside = config.find(kKey);
  if (inside && outside && inside->integer(1, kMost) != outside->integer(1, kMost)) {
    inside->fail(fmt::format("is {}, {} beside it {}: expected one value",
                             inside->integer(1, kMost), kKey, outside->integer(1, kMost)));
  }
  if (inside) return inside->integer(1, kMost);
  if (outside) return outside->integer(1, kMost);
  return std::nullopt;
}

// 0.1 m ln(factor) + 1 (YaRN, section 3.4).
double yarn_magnitude(double factor, double m) {
  return factor <= 1 ? 1.0 : 0.1 * m * std::log(factor) + 1.0;
}

void read_yarn(const JsonView& rope, RopeScaling& out) {
  if (const auto fast = rope.find("beta_fast")) out.beta_fast = fast->positive();
  if (const auto slow = rope.find("beta_slow")) out.beta_slow = slow->positive();
  out.truncate = rope.boolean_or("truncate", true);
  const auto stated = rope.find("attention_factor");
  const auto m = rope.find("mscale"), m_all = rope.find("mscale_all_dim");
  if (stated) {
    out.attention_factor = stated->positive();
  } else if (m && m_all) {
    out.attention_factor =
        yarn_magnitude(out.factor, m->positive()) / yarn_magnitude(out.factor, m_all->positive());
  } else {
    out.attention_factor = yarn_magnitude(out.factor, 1);
  }
}

double read_factor(const JsonView& rope) {
  constexpr double kMost = 1 << 20;  // far above any; keeps stretched positions in range
  const JsonView stated = rope.at("factor");
  if (stated.positive() > kMost) stated.fail_type(fmt::format("a number up to {}", kMost));
  return stated.positive();
}

RopeScaling read_scaling(const JsonView& config, const JsonView& rope, const ModelConfig& model) {
  RopeScaling out;
  out.type = find_type(rope);
  if (out.type == Type::kNone) return out;
  const auto original = stated_original(config, rope);
  out.original_max_positions = original.value_or(model.max_positions);
  if (out.type == Type::kYarn && !rope.find("factor") && original) {
    out.factor = static_cast<double>(model.max_positions) / static_cast<double>(*original);
  } else {
    out.factor = read_factor(rope);
  }
  switch (out.type) {
    case Type::kDynamic:  // transformers looks at max_position_embeddings alone
      out.original_max_positions = model.max_positions;
      if (model.head_dim <= 2) rope.fail("dynamic scaling needs heads of 4 or more");
      break;
    case Type::kYarn:
      read_yarn(rope, out);
      break;
    case Type::kLlama3:
      out.low_freq_factor = rope.at("low_freq_factor").positive();
      out.high_freq_factor = rope.at("high_freq_factor").positive();
      if (out.high_freq_factor <= out.low_freq_factor) {
        rope.fail("expected high_freq_factor above low_freq_factor");
      }
      break;
    default:
      break;
  }
  return out;
}

void check_whole_heads(const JsonView& place) {
  const auto part = place.find("partial_rotary_factor");
  if (part && part->positive() != 1) part->fail_type("1: RoPE over whole heads");
}

// One place that may say a theta, and which.
struct Stated {
  std::string name;
  std::optional<JsonView> theta;
};

double one_theta(const JsonView& config, const std::vector<Stated>& places, double otherwise) {
  std::optional<double> theta;
  std::string first;
  for (const auto& place : places) {
    if (!place.theta) continue;
    const double value = place.theta->positive();
    if (theta && *theta != value) {
      config.fail(
          fmt::format("{} is {}, {} is {}: expected one value", first, *theta, place.name, value));
    }
    theta = value;
    first = place.name;
  }
  return theta.value_or(otherwise);
}

std::optional<JsonView> theta_of(const std::optional<JsonView>& rope) {
  return rope ? rope->find("rope_theta") : std::nullopt;
}

// {} says nothing, like null.
std::optional<JsonView> find_filled(const JsonView& config, const char* key) {
  const auto found = config.find(key);
  return found && found->value().empty() ? std::nullopt : found;
}

void stretch(ModelConfig& out) {
  const RopeScaling& scaling = out.rope_scaling;
  double stretched = 0;
  if (scaling.type == Type::kYarn) {
    stretched = scaling.factor * static_cast<double>(scaling.original_max_positions);
  } else if (scaling.type == Type::kDynamic ||
             (scaling.type == Type::kLinear && out.local_rope_theta == 0)) {
    stretched = scaling.factor * static_cast<double>(out.max_positions);
  }  // llama3's max_position_embeddings are the stretched ones already, as are Gemma 3's
  constexpr double kMost = int64_t{1} << 31;
  out.max_positions =
      std::max(out.max_positions, static_cast<int64_t>(std::min(std::floor(stretched), kMost)));
}

}  // namespace

const char* rope_type_name(RopeScaling::Type type) {
  switch (type) {
    case Type::kNone:
      return "default";
    case Type::kLinear:
      return "linear";
    case Type::kDynamic:
      return "dynamic";
    case Type::kYarn:
      return "yarn";
    case Type::kLlama3:
      return "llama3";
  }
  return "";
}

void read_rope(const JsonView& config, ModelConfig& out) {
  const bool by_layer = out.model_type == "gemma3_text";
  const auto form4 = find_filled(config, "rope_scaling");
  auto form5 = find_filled(config, "rope_parameters");
  std::optional<JsonView> local;
  if (form5 && by_layer) {
    local = form5->find("sliding_attention");
    const auto global = form5->find("full_attention");
    if (!local && !global) form5->fail_type("full_attention and sliding_attention in it");
    form5 = global;
  } else if (form5 && form5->find("full_attention")) {
    form5->at("full_attention").fail(fmt::format("{} has one RoPE for all layers", out.model_type));
  }
  check_whole_heads(config);
  for (const auto& rope : {form4, form5, local}) {
    if (rope) check_whole_heads(*rope);
  }
  out.rope_theta = one_theta(config,
                             {{"rope_theta", config.find("rope_theta")},
                              {"rope_scaling.rope_theta", theta_of(form4)},
                              {"rope_parameters.rope_theta", theta_of(form5)}},
                             by_layer ? 1e6 : 1e4);
  if (by_layer) {
    out.local_rope_theta =
        one_theta(config,
                  {{"rope_local_base_freq", config.find("rope_local_base_freq")},
                   {"rope_parameters.sliding_attention.rope_theta", theta_of(local)}},
                  1e4);
    if (local && find_type(*local) != Type::kNone) {
      local->fail_type("rope_type default for sliding_attention");
    }
  }
  // rope_parameters without a type may hold theta alone beside a rope_scaling.
  const bool both = form4 && form5 && type_name(*form5);
  const auto& rope = form4 ? form4 : form5;
  if (rope) out.rope_scaling = read_scaling(config, *rope, out);
  if (both && read_scaling(config, *form5, out) != out.rope_scaling) {
    const Type other = find_type(*form5), type = out.rope_scaling.type;
    config.fail(fmt::format("rope_scaling says {}, rope_parameters {}{}: expected the same",
                            rope_type_name(type), rope_type_name(other),
                            type == other ? " with other numbers" : ""));
  }
  if (out.rope_scaling.type == Type::kYarn && out.rope_theta <= 1) {
    config.fail("yarn scaling needs a rope_theta above 1");
  }
  stretch(out);
}

}  // namespace kvbench
