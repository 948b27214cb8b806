// Floats, [tokens][stride], rows at cache lines, stride padded for the kernels.
#pragma once

#include <cstddef>

#include "base/aligned_floats.hpp"
#include "kernels/kernels.hpp"

namespace elrt {

struct Activations {
  AlignedFloats values;
  std::size_t stride = 0;

  void allocate(std::size_t tokens, std::size_t width) {
    // Rows a multiple of 4 KiB apart would share the first-level cache's sets; stretches of a KiB of several rows are
    // read together.
    constexpr std::size_t kSpread = (1024 + 64) / sizeof(float);
    stride = kernels::padded(width) + kSpread;
    values.assign(tokens * stride, 0.0f);
  }
  float* row(std::size_t token) { return values.data() + token * stride; }
  // Zeros from `width` to the next multiple of the padding: what a wider level left there must not be read.
  void clear_padding(std::size_t tokens, std::size_t width) {
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t i = width; i < kernels::padded(width); ++i) row(t)[i] = 0;
    }
  }
};

}  // namespace elrt
