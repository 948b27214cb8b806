// Activations in bfloat16, made once per input of a group of matrix products and shared by them: float32 rounded to
// eight significant bits, to nearest, ties to even.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_floats.hpp"

namespace elrt {

struct RoundedRows {
  std::vector<std::uint16_t, CacheLineAllocator<std::uint16_t>> values;  // [rows][stride]
  std::size_t stride = 0;

  // Room for `rows` rows of up to `width` values.
  void allocate(std::size_t rows, std::size_t width) {
    constexpr std::size_t kSpread = (1024 + 64) / sizeof(std::uint16_t);  // as of activations.hpp
    stride = (width + 31) / 32 * 32 + kSpread;
    values.assign(rows * stride, 0);
  }
  std::uint16_t* row(std::size_t index) { return values.data() + index * stride; }
  const std::uint16_t* row(std::size_t index) const { return values.data() + index * stride; }
};

}  // namespace elrt
