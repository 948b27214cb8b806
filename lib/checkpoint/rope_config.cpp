#include "checkpoint/rope_config.h"

#include <cmath>
#include <optional>

#include <fmt/ranges.h>

#include "base/error.h"
#include "checkpoint/hf_reader.h"
#include "checkpoint/model_config.h"

namespace elastify {
namespace {

double read_turned_share(const HfReader& reader, const RopeRules& rules) {
  const double share = reader.number("partial_rotary_factor", 1);
  if (share != 1 && !rules.phi) {
    fail_data("{}: partial_rotary_factor {} is not supported: expected 1, whole heads turn", reader.source(), share);
  }
  if (!(share > 0 && share <= 1))
    fail_data("{}: partial_rotary_factor must be in (0, 1], found {}", reader.source(), share);
  return share;
}

std::int64_t read_original_positions(const HfReader& rope, const HfReader& model, std::int64_t max_positions) {
  const std::int64_t original = rope.integer("original_max_position_embeddings",
                                             model.integer("original_max_position_embeddings", max_positions));
  if (original < 1) fail_data("{}: original_max_position_embeddings must be at least 1", rope.source());
  return original;
}

// transformers' _compute_longrope_parameters.
RopeScaling read_longrope(const HfReader& rope, const HfReader& model, std::int64_t max_positions) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::kLongRope;
  scaling.short_factors = rope.numbers("short_factor");
  scaling.long_factors = rope.numbers("long_factor");
  scaling.original_max_positions = read_original_positions(rope, model, max_positions);
  const auto original = static_cast<double>(scaling.original_max_positions);
  const double stretched = static_cast<double>(max_positions) / original;
  rope.has("factor");  // transformers takes the quotient of the two contexts instead
  const double derived = stretched > 1 ? std::sqrt(1 + std::log(stretched) / std::log(original)) : 1;
  scaling.magnitude = rope.number("attention_factor", derived);
  if (!(scaling.magnitude > 0) || !std::isfinite(scaling.magnitude))
    fail_data("{}: attention_factor must be above 0, found {}", rope.source(), scaling.magnitude);
  return scaling;
}

RopeScaling read_scaling(const HfReader& rope, const HfReader& model, std::int64_t max_positions,
                         const RopeRules& rules) {
  RopeScaling scaling;
  const std::string old_name = rope.text("type", "default"), type = rope.text("rope_type", old_name);
  if (type == "default") {
    if (const double factor = rope.number("factor", 1); factor != 1)
      fail_data("{}: a factor of {} with rope_type 'default': expected linear or llama3", rope.source(), factor);
  } else if (type == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
    scaling.factor = rope.number("factor");
  } else if (type == "llama3") {
    scaling.kind = RopeScaling::Kind::kLlama3;
    scaling.factor = rope.number("factor");
    scaling.low_freq_factor = rope.number("low_freq_factor");
    scaling.high_freq_factor = rope.number("high_freq_factor");
    scaling.original_max_positions = read_original_positions(rope, model, max_positions);
  } else if (rules.phi && (type == "longrope" || type == "su")) {  // as the first Phi-3 files call it
    return read_longrope(rope, model, max_positions);
  } else {
    fail_data("{}: rope type '{}' is not supported: expected default, linear or llama3{}", rope.source(), type,
              rules.phi ? ", or longrope" : "");
  }
  return scaling;
}

struct Section {
  std::string source;
  std::optional<double> theta;
  RopeScaling scaling;
  double turned_share = 1;
  std::optional<double> local_theta;
};

Section read_section(const HfReader& rope, const HfReader& model, std::int64_t max_positions, const RopeRules& rules) {
  Section found{rope.source(), std::nullopt, {}, read_turned_share(rope, rules), std::nullopt};
  found.scaling = read_scaling(rope, model, max_positions, rules);
  if (rope.has("rope_theta")) found.theta = rope.number("rope_theta");
  if (rules.phi) rope.has("original_max_position_embeddings");  // counts with longrope alone
  if (const auto unread = rope.unread(); !unread.empty()) {
    fail_data("{}: {} of this rope type {} not supported", rope.source(), fmt::join(unread, ", "),
              unread.size() == 1 ? "is" : "are");
  }
  return found;
}

// A set for layers that see everything, and a base alone for those with the window.
Section read_by_layer_type(const HfReader& both, const HfReader& model, std::int64_t max_positions,
                           const RopeRules& rules) {
  Section found = read_section(both.section("full_attention"), model, max_positions, rules);
  const Section local = read_section(both.section("sliding_attention"), model, max_positions, rules);
  if (local.scaling.kind != RopeScaling::Kind::kNone)
    fail_data("{}: scaled frequencies of sliding_attention are not supported", both.source());
  found.source = both.source();
  found.local_theta = local.theta;
  return found;
}

Section read_any(const HfReader& model, const char* key, std::int64_t max_positions, const RopeRules& rules) {
  const HfReader rope = model.section(key);
  const auto layer_types = rope.subsections();
  if (layer_types.empty()) return read_section(rope, model, max_positions, rules);
  const std::vector<std::string> known = {"full_attention", "sliding_attention"};
  if (rules.by_layer_type && layer_types == known) return read_by_layer_type(rope, model, max_positions, rules);
  fail_data("{}: settings by layer type ({}) are not supported: expected one set for all layers", rope.source(),
            fmt::join(layer_types, ", "));
}

}  // namespace

RopeConfig read_rope_config(const HfReader& reader, std::int64_t max_positions, const RopeRules& rules) {
  RopeConfig config;
  config.turned_share = read_turned_share(reader, rules);
  if (rules.by_layer_type) config.local_theta = reader.number("rope_local_base_freq", 10000);
  if (rules.phi) reader.has("original_max_position_embeddings");
  std::optional<double> theta;
  if (reader.has("rope_theta")) theta = reader.number("rope_theta");
  std::optional<Section> first;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!reader.has(key)) continue;
    const Section section = read_any(reader, key, max_positions, rules);
    if (section.theta && theta && *section.theta != *theta) {
      fail_data("{}: rope_theta is {}, but {} elsewhere in the file: remove the one that is wrong", section.source,
                *section.theta, *theta);
    }
    if (first && first->scaling != section.scaling) {
      fail_data("{}: says something else than {}: remove the one that is wrong", section.source, first->source);
    }
    if (section.theta) theta = section.theta;
    first = section;
    config.scaling = section.scaling;
    if (section.turned_share != 1) config.turned_share = section.turned_share;
    if (section.local_theta) config.local_theta = *section.local_theta;
  }
  config.theta = theta.value_or(config.theta);
  return config;
}

void write_rope_config(const ModelConfig& config, nlohmann::json& document) {
  const RopeScaling& scaling = config.rope_scaling;
  document["rope_theta"] = config.rope_theta;
  if (config.rotary_dim > 0 && config.rotary_dim != config.head_dim) {
    document["partial_rotary_factor"] = static_cast<double>(config.rotary_dim) / static_cast<double>(config.head_dim);
  }
  if (config.local_rope_theta > 0) document["rope_local_base_freq"] = config.local_rope_theta;
  if (scaling.kind == RopeScaling::Kind::kLinear) {
    document["rope_scaling"] = {{"rope_type", "linear"}, {"factor", scaling.factor}};
  } else if (scaling.kind == RopeScaling::Kind::kLlama3) {
    document["rope_scaling"] = {{"rope_type", "llama3"},
                                {"factor", scaling.factor},
                                {"low_freq_factor", scaling.low_freq_factor},
                                {"high_freq_factor", scaling.high_freq_factor},
                                {"original_max_position_embeddings", scaling.original_max_positions}};
  } else if (scaling.kind == RopeScaling::Kind::kLongRope) {
    document["original_max_position_embeddings"] = scaling.original_max_positions;
    document["rope_scaling"] = {{"rope_type", "longrope"},
                                {"short_factor", scaling.short_factors},
                                {"long_factor", scaling.long_factors},
                                {"attention_factor", scaling.magnitude}};
  }
}

}  // namespace elastify
