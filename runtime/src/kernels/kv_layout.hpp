// One group's keys and values as the cache holds them.
//
// Values: a row per position.
//   F32, F16   head_dim values
//   Q8_0       a half scale for each 32 values (the last block may be shorter), then head_dim signed bytes; value =
//   scale * byte
// Keys: a tile per kKvTile positions, dimension by dimension with the positions side by side, so that a score needs no
// sum across lanes.
//   F32, F16   value i of position p at i * kKvTile + p
//   Q8_0       half scales, that of block b and position p at b * kKvTile + p; then signed bytes at i * kKvTile + p
// What is stored of a position depends on its own values alone.
#pragma once

#include <cstddef>

#include "elrt/kv_type.hpp"

namespace elrt {

inline constexpr std::size_t kKvTile = 32;  // positions
inline constexpr std::size_t kKvBlock = 32;
inline constexpr std::size_t kv_blocks(std::size_t head_dim) { return (head_dim + kKvBlock - 1) / kKvBlock; }
inline constexpr std::size_t kv_tiles(std::size_t positions) { return (positions + kKvTile - 1) / kKvTile; }

// Of a value; an even number, so that scales stay aligned.
inline constexpr std::size_t kv_row_bytes(KvType type, std::size_t head_dim) {
  switch (type) {
    case KvType::kF32:
      return 4 * head_dim;
    case KvType::kF16:
      return 2 * head_dim;
    case KvType::kQ8_0:
      return (2 * kv_blocks(head_dim) + head_dim + 1) / 2 * 2;
  }
  return 0;
}

// Of kKvTile keys.
inline constexpr std::size_t kv_tile_bytes(KvType type, std::size_t head_dim) {
  const std::size_t scales = type == KvType::kQ8_0 ? 2 * kv_blocks(head_dim) : 0, element = type == KvType::kF32   ? 4
                                                                                            : type == KvType::kF16 ? 2
                                                                                                                   : 1;
  return (scales + element * head_dim) * kKvTile;
}

}  // namespace elrt
