// Loops over one row of probabilities, float32; Highway picks the widest vectors of the processor at run time.
#pragma once

#include <cstdint>

namespace elastify::kernels {

// r - p sum(r) with r = sqrt(p) * signs: over random signs its covariance is diag(p) - p p'. `signs` holds +-1 and
// becomes the probe.
void probe(const float* p, std::int64_t n, float* signs);

// `n` signs of +-1 that depend on seed and row alone: the bits of splitmix64 (Steele et al. 2014), 64 a draw.
void random_signs(std::uint64_t seed, std::uint64_t row, std::int64_t n, float* signs);

}  // namespace elastify::kernels
