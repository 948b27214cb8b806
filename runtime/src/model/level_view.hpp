// A level of a model: a pointer and an index. Switching levels replaces it; no weight is touched.
#pragma once

#include <cstdint>

#include "model/model.hpp"

namespace elrt {

class LevelView {
 public:
  // Without `use_adapter` the level runs as it was cut: for measuring what recovery brings.
  LevelView(const Model& model, std::size_t index, bool use_adapter = true)
      : model_(&model), level_(&model.levels[index]), use_adapter_(use_adapter) {}

  const Model& model() const { return *model_; }
  std::uint32_t percent() const { return level_->percent; }
  std::uint32_t kv_groups(std::size_t layer) const { return level_->kv_groups[layer]; }
  std::uint32_t neurons(std::size_t layer) const { return level_->neurons[layer]; }
  std::uint32_t kv_width(std::size_t layer) const { return kv_groups(layer) * model_->shape.head_dim; }
  std::uint32_t q_width(std::size_t layer) const { return kv_width(layer) * model_->shape.heads_per_group(); }

  // nullptr: this level has no adapter, or runs without it.
  const LayerAdapter* adapter(std::size_t layer) const {
    return level_->adapters.empty() || !use_adapter_ ? nullptr : &level_->adapters[layer];
  }
  float adapter_scale() const { return level_->adapter_scale; }

  std::uint64_t adapter_bytes() const;
  std::uint64_t adapter_weights() const;
  // Weight bytes that decoding one token reads: the level's blocks and adapter, one embedding row, norms and the head.
  std::uint64_t bytes_per_token() const { return level_->bytes_per_token; }

 private:
  const Model* model_;
  const LevelData* level_;
  bool use_adapter_;
};

// What bytes_per_token() says, counted: once, when the artifact opens.
std::uint64_t count_bytes_per_token(const LevelView& view);

}  // namespace elrt
