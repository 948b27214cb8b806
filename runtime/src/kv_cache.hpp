// Keys and values of the tokens read so far. Each KV group of each layer has its own buffers, [position][head_dim], so a
// level that keeps fewer groups uses a prefix of them, and memory follows the level and the text, not the context limit.
#pragma once

#include <cstddef>
#include <vector>

#include "level_view.hpp"

namespace elrt {

class KvCache {
 public:
  explicit KvCache(const ModelShape& shape)
      : head_dim_(shape.head_dim), groups_(shape.kv_heads), buffers_(std::size_t{shape.blocks} * shape.kv_heads) {}

  // Makes room for `positions` in the groups that `view` keeps. Growth doubles, so appending stays cheap.
  void reserve(const LevelView& view, std::size_t positions) {
    for (std::size_t layer = 0; layer < view.model().layers.size(); ++layer) {
      for (std::size_t group = 0; group < view.kv_groups(layer); ++group) grow(at(layer, group), positions * head_dim_);
    }
  }

  float* key(std::size_t layer, std::size_t group, std::size_t position) {
    return at(layer, group).keys.data() + position * head_dim_;
  }
  float* value(std::size_t layer, std::size_t group, std::size_t position) {
    return at(layer, group).values.data() + position * head_dim_;
  }

  void release() { buffers_.assign(buffers_.size(), {}); }

 private:
  struct Buffers {
    std::vector<float> keys, values;
  };
  Buffers& at(std::size_t layer, std::size_t group) { return buffers_[layer * groups_ + group]; }

  static void grow(Buffers& buffers, std::size_t floats) {
    if (buffers.keys.size() >= floats && buffers.values.size() >= floats) return;
    const std::size_t size = floats > 2 * buffers.keys.size() ? floats : 2 * buffers.keys.size();
    buffers.keys.resize(size);
    buffers.values.resize(size);
  }

  std::size_t head_dim_, groups_;
  std::vector<Buffers> buffers_;
};

}  // namespace elrt
