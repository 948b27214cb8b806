#include "checkpoint/rope_config.h"

#include <optional>

#include <fmt/ranges.h>

#include "base/error.h"
#include "checkpoint/hf_reader.h"

namespace elastify {
namespace {

void refuse_partial_rotation(const HfReader& reader) {
  const double share = reader.number("partial_rotary_factor", 1);
  if (share != 1) {
    fail_data("{}: partial_rotary_factor {} is not supported: expected 1, whole heads turn", reader.source(), share);
  }
}

RopeScaling read_scaling(const HfReader& rope, const HfReader& model, std::int64_t max_positions) {
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
    scaling.original_max_positions = rope.integer("original_max_position_embeddings",
                                                  model.integer("original_max_position_embeddings", max_positions));
    if (scaling.original_max_positions < 1)
      fail_data("{}: original_max_position_embeddings must be at least 1", rope.source());
  } else {
    fail_data("{}: rope type '{}' is not supported: expected default, linear or llama3", rope.source(), type);
  }
  return scaling;
}

struct Section {
  std::string source;
  std::optional<double> theta;
  RopeScaling scaling;
};

Section read_section(const HfReader& model, const char* key, std::int64_t max_positions) {
  const HfReader rope = model.section(key);
  if (const auto layer_types = rope.subsections(); !layer_types.empty()) {
    fail_data("{}: settings by layer type ({}) are not supported: expected one set for all layers", rope.source(),
              fmt::join(layer_types, ", "));
  }
  refuse_partial_rotation(rope);
  Section found{rope.source(), std::nullopt, read_scaling(rope, model, max_positions)};
  if (rope.has("rope_theta")) found.theta = rope.number("rope_theta");
  if (const auto unread = rope.unread(); !unread.empty()) {
    fail_data("{}: {} of this rope type {} not supported", rope.source(), fmt::join(unread, ", "),
              unread.size() == 1 ? "is" : "are");
  }
  return found;
}

}  // namespace

RopeConfig read_rope_config(const HfReader& reader, std::int64_t max_positions) {
  refuse_partial_rotation(reader);
  RopeConfig config;
  std::optional<double> theta;
  if (reader.has("rope_theta")) theta = reader.number("rope_theta");
  std::optional<Section> first;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!reader.has(key)) continue;
    const Section section = read_section(reader, key, max_positions);
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
  }
  config.theta = theta.value_or(config.theta);
  return config;
}

}  // namespace elastify
