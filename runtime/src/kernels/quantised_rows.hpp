// Activations in eight bits, made once per input of a group of matrix products and shared by them.
//
// Each row is cut into blocks of 32 values along the reduced dimension: x = scale * q, scale = max|x| / 127, q rounded
// to the nearest integer, ties to even. A row's bits depend on that row alone, never on the batch. A block that holds a
// NaN or an infinity has the scale NaN: what follows is NaN, not a plausible number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace elrt {

struct BlockFactors {
  float scale = 0;
  // The start of the block's integer sum: weights are stored as q + 8 (Q4_0) and q + 128 (Q8_0).
  std::int32_t minus_8_sum = 0, minus_128_sum = 0;
};

struct QuantisedRows {
  std::vector<std::int8_t> values;    // [rows][value_stride], zero from the width to the next multiple of 32
  std::vector<BlockFactors> factors;  // [rows][block_stride]
  std::size_t value_stride = 0, block_stride = 0;

  // Room for `rows` rows of up to `width` values.
  void allocate(std::size_t rows, std::size_t width) {
    block_stride = (width + 31) / 32;
    // Rows a multiple of 4 KiB apart would share the first-level cache's sets; one more line tells them apart.
    value_stride = block_stride * 32 + 64;
    values.assign(rows * value_stride, 0);
    factors.assign(rows * block_stride, {});
  }
  const std::int8_t* row(std::size_t index) const { return values.data() + index * value_stride; }
  const BlockFactors* row_factors(std::size_t index) const { return factors.data() + index * block_stride; }
};

}  // namespace elrt
