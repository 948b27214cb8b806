// One head's key or value of one position, as the cache holds it:
//   F32, F16   head_dim values
//   Q8_0       a half scale for each 32 values (the last block may be shorter), then head_dim signed bytes; value = scale * byte
// A row's bits depend on its own values alone.
#pragma once

#include <cstddef>

#include "elrt/kv_type.hpp"

namespace elrt {

inline constexpr std::size_t kKvBlock = 32;
inline constexpr std::size_t kv_blocks(std::size_t head_dim) { return (head_dim + kKvBlock - 1) / kKvBlock; }

inline constexpr std::size_t kv_row_bytes(KvType type, std::size_t head_dim) {
  switch (type) {
    case KvType::kF32: return 4 * head_dim;
    case KvType::kF16: return 2 * head_dim;
    case KvType::kQ8_0: return (2 * kv_blocks(head_dim) + head_dim + 1) / 2 * 2;  // even: scales stay aligned
  }
  return 0;
}

}  // namespace elrt
