// One block of 32 weights that share a float16 scale, weight = scale * q, with the scale of least error.
//
// Q8_0: q in -127..127. Q4_0: q in -8..7. IQ4_NL: q one of 16 values (elrt/format.h, kIq4Codebook).
// The plain rule gives the weight of largest magnitude the end of the range: q = 127, -8 or -127. Of several scales
// around it, each rounded, fitted to the rounded weights by least squares and rounded again, the one with the least
// error is taken, so that no block is worse than by the plain rule. The error is the sum of squared changes, each
// weighted by its input's importance where there is one: the second moment of what the weight is multiplied by.
#pragma once

#include <elrt/artifact.hpp>

#include <cstdint>
#include <span>

namespace elastify {

// As the file's types hold it.
struct WeightBlock {
  std::uint16_t scale = 0;  // float16 bits
  std::int8_t q[32] = {};
};

// At most 32 weights; those that are missing are zero. `importance`: one for each weight, not negative; none: all
// count the same, and Q8_0 keeps to the plain rule, |w - scale q| <= scale / 2. The type is a quantised one.
WeightBlock quantise_block(std::span<const float> weights, elrt::TensorType type,
                           std::span<const float> importance = {});
float block_scale(const WeightBlock& block);
// The q nearest to weight / scale.
int nearest_q(float ratio, elrt::TensorType type);
// Beyond this a float16 scale may not reach.
float largest_weight(elrt::TensorType type);

}  // namespace elastify
