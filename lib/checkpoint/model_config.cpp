#include "checkpoint/model_config.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "checkpoint/block_table.h"
#include "checkpoint/hf_reader.h"

namespace elastify {

namespace {

// Of the tensors that hold such units, in a block that keeps one of each.
std::int64_t weights_of(const ModelConfig& config, Unit unit) {
  const BlockWidths widths = block_widths(config, 1, 1);
  std::int64_t count = 0;
  for (const BlockTensor& entry : block_table()) {
    if (entry.unit() == unit && entry.wanted(config)) {
      count += static_cast<std::int64_t>(widths.of(entry.stored.outputs) * widths.of(entry.stored.inputs));
    }
  }
  return count;
}

}  // namespace

std::int64_t ModelConfig::weights_per_group() const { return weights_of(*this, Unit::kGroup); }
std::int64_t ModelConfig::weights_per_neuron() const { return weights_of(*this, Unit::kNeuron); }
std::int64_t ModelConfig::fixed_weights_per_block() const { return weights_of(*this, Unit::kNone); }

std::int64_t ModelConfig::weights_per_block() const {
  return num_kv_heads * weights_per_group() + intermediate_size * weights_per_neuron() + fixed_weights_per_block();
}

std::int64_t ModelConfig::weights_outside_blocks() const {
  return hidden_size + vocab_size * hidden_size * (tied_embeddings ? 1 : 2);
}

double ModelConfig::score_scale() const {
  return attention_scale > 0 ? attention_scale : 1 / std::sqrt(static_cast<double>(head_dim));
}

namespace {

void validate_scaling(const RopeScaling& scaling, std::int64_t pairs, const std::string& source) {
  if (!(scaling.factor >= 1))
    fail_data("{}: the factor of rope_scaling must be at least 1, found {}", source, scaling.factor);
  if (scaling.kind == RopeScaling::Kind::kLlama3 && !(scaling.high_freq_factor > scaling.low_freq_factor)) {
    fail_data("{}: high_freq_factor ({}) of rope_scaling must be above low_freq_factor ({})", source,
              scaling.high_freq_factor, scaling.low_freq_factor);
  }
  if (scaling.kind != RopeScaling::Kind::kLongRope) return;
  for (const auto* factors : {&scaling.short_factors, &scaling.long_factors}) {
    const char* name = factors == &scaling.short_factors ? "short_factor" : "long_factor";
    if (static_cast<std::int64_t>(factors->size()) != pairs)
      fail_data("{}: {} has {} numbers, expected one for each of the {} pairs that turn", source, name, factors->size(),
                pairs);
    for (const double factor : *factors) {
      if (!(factor > 0) || !std::isfinite(factor))
        fail_data("{}: {} must hold numbers above 0, found {}", source, name, factor);
    }
  }
}

}  // namespace

void ModelConfig::validate(const std::string& source) const {
  const auto in_range = [&](const char* name, std::int64_t value, std::int64_t high) {
    if (value < 1 || value > high) fail_data("{}: {} must be in [1, {}], found {}", source, name, high, value);
  };
  in_range("vocab_size", vocab_size, 1 << 24);
  in_range("hidden_size", hidden_size, 1 << 20);
  in_range("intermediate_size", intermediate_size, 1 << 22);
  in_range("num_hidden_layers", num_layers, 1 << 12);
  in_range("num_attention_heads", num_heads, 1 << 14);
  in_range("num_key_value_heads", num_kv_heads, num_heads);
  in_range("head_dim", head_dim, 1 << 14);
  in_range("max_position_embeddings", max_positions, 1 << 26);
  if (num_heads % num_kv_heads != 0) {
    fail_data("{}: num_attention_heads ({}) must be a multiple of num_key_value_heads ({})", source, num_heads,
              num_kv_heads);
  }
  if (head_dim % 2 != 0) fail_data("{}: head_dim must be even for rotary embeddings, found {}", source, head_dim);
  if (!(rms_norm_eps > 0) || !(rms_norm_eps < 1))
    fail_data("{}: rms_norm_eps must be in (0, 1), found {}", source, rms_norm_eps);
  if (!(rope_theta > 1) || !std::isfinite(rope_theta))
    fail_data("{}: rope_theta must be above 1, found {}", source, rope_theta);
  if (const std::int64_t turned = turned_dims(); turned < 2 || turned > head_dim || turned % 2 != 0)
    fail_data("{}: {} of {} dimensions of a head turn: expected an even number of them", source, turned, head_dim);
  validate_scaling(rope_scaling, turned_dims() / 2, source);
}

}  // namespace elastify
