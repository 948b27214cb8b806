// Matrices in eight or four bits: blocks of 32 weights along the inputs share a float16 scale, weight = scale * q. The
// order of bytes is the artifact's (elrt/format.h, LAYOUT).
//
// Q8_0: scale = max|w| / 127, q the nearest integer: |w - scale q| <= scale / 2.
// Q4_0: q in -8..7. Of several scales, the one with the least squared error: never worse than the plain rule, which
// gives the weight of largest magnitude q = -8.
#pragma once

#include <elrt/artifact.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/torch.h"

namespace elastify {

// One block, as the file's types hold it.
struct WeightBlock {
  std::uint16_t scale = 0;  // float16 bits
  std::int8_t q[32] = {};
};

// At most 32 weights; those that are missing are zero. The type is Q8_0 or Q4_0.
WeightBlock quantise_block(std::span<const float> weights, elrt::TensorType type);
float block_scale(const WeightBlock& block);

enum class PanelOrder { kRows, kTiles };  // units are outputs (q, k, v, gate, up); units are inputs (o, down)

// [outermost first] the shape that the file states for an [outputs, inputs] matrix.
std::vector<std::int64_t> panel_shape(std::int64_t outputs, std::int64_t inputs, PanelOrder order);

struct QuantisedMatrix {
  torch::Tensor bytes;        // uint8, one dimension
  double relative_rms_error;  // RMS of the change over the RMS of the weights; 0 where all are zero
};

// `matrix` is [outputs, inputs], float32, CPU, finite. Throws Error(kBadData), naming `name`, where a scale exceeds
// float16.
QuantisedMatrix quantise_matrix(const torch::Tensor& matrix, elrt::TensorType type, PanelOrder order,
                                const std::string& name);

// What a reader of the quantised matrix sees: [outputs, inputs], float32.
torch::Tensor dequantised(const torch::Tensor& matrix, elrt::TensorType type);

}  // namespace elastify
