// Keys and values of the tokens read so far. Each KV group of each layer has its own buffers (kv_layout.hpp), so a
// level that keeps fewer groups uses a prefix of them, and memory follows the level and the text, not the context
// limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/growing_bytes.hpp"
#include "kernels/kv_layout.hpp"
#include "model/level_view.hpp"

namespace elrt {

class KvCache {
 public:
  KvCache(const ModelShape& shape, KvType type)
      : type_(type),
        row_bytes_(kv_row_bytes(type, shape.head_dim)),
        tile_bytes_(kv_tile_bytes(type, shape.head_dim)),
        groups_(shape.kv_heads),
        buffers_(std::size_t{shape.blocks} * shape.kv_heads) {}

  KvType type() const { return type_; }
  std::size_t row_bytes() const { return row_bytes_; }

  // Makes room for `positions` in the groups that `view` keeps.
  void reserve(const LevelView& view, std::size_t positions) {
    for (std::size_t layer = 0; layer < view.model().layers.size(); ++layer) {
      for (std::size_t group = 0; group < view.kv_groups(layer); ++group) {
        at(layer, group).keys.grow(kv_tiles(positions) * tile_bytes_);
        at(layer, group).values.grow(positions * row_bytes_);
      }
    }
  }

  // Frees the groups that `view` does not keep.
  void release_beyond(const LevelView& view) {
    for (std::size_t layer = 0; layer < view.model().layers.size(); ++layer) {
      for (std::size_t group = view.kv_groups(layer); group < groups_; ++group) {
        at(layer, group).keys.release();
        at(layer, group).values.release();
      }
    }
  }

  // A group's tiles of keys and rows of values, of position 0.
  std::byte* keys(std::size_t layer, std::size_t group) { return at(layer, group).keys.data(); }
  std::byte* values(std::size_t layer, std::size_t group) { return at(layer, group).values.data(); }

  // The tile that holds a position's key, and the row of its value.
  std::byte* key_tile(std::size_t layer, std::size_t group, std::size_t position) {
    return keys(layer, group) + position / kKvTile * tile_bytes_;
  }
  std::byte* value(std::size_t layer, std::size_t group, std::size_t position) {
    return values(layer, group) + position * row_bytes_;
  }

  // What one more token costs at `view`.
  std::uint64_t bytes_per_token(const LevelView& view) const {
    std::uint64_t groups = 0;
    for (std::size_t layer = 0; layer < view.model().layers.size(); ++layer) groups += view.kv_groups(layer);
    return groups * (row_bytes_ + tile_bytes_ / kKvTile);
  }

 private:
  struct Buffers {
    GrowingBytes keys, values;
  };
  Buffers& at(std::size_t layer, std::size_t group) { return buffers_[layer * groups_ + group]; }

  KvType type_;
  std::size_t row_bytes_, tile_bytes_, groups_;
  std::vector<Buffers> buffers_;
};

}  // namespace elrt
