// Matrices in eight or four bits: blocks of 32 weights along the inputs share a float16 scale, weight = scale * q
// (block_scale.h). The order of bytes is the artifact's (elrt/format.h, LAYOUT).
#pragma once

#include <elrt/artifact.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "base/torch.h"
#include "quantise/block_scale.h"
#include "quantise/matrix_guide.h"

namespace elastify {

// "q8_0", "q4_0" and "iq4_nl" name types in panels; F32 stands for every other word but "f16" and "bf16".
elrt::TensorType type_of(const std::string& dtype);

// Of tensors that are in no panels: F32, F16 or BF16.
torch::ScalarType float_type_of(elrt::TensorType type);

// The type of block_matrices()[index]: of `dtype`, but Q8_0 where that has four bits and `wider` lists the matrix by
// its word in kTargetNames (model/adapter.h).
elrt::TensorType matrix_type(const std::string& dtype, const std::vector<std::string>& wider, std::size_t index);

// Units are outputs (q, k, v, gate, up); units are inputs (o, down); an adapter's first matrix, in Q8_0 alone.
enum class PanelOrder { kRows, kTiles, kAdapter };

// [outermost first] the shape that the file states for an [outputs, inputs] matrix.
std::vector<std::int64_t> panel_shape(std::int64_t outputs, std::int64_t inputs, PanelOrder order);

struct QuantisedMatrix {
  torch::Tensor bytes;        // uint8, one dimension
  double relative_rms_error;  // RMS of the change over the RMS of the weights; 0 where all are zero
};

// `matrix` is [outputs, inputs], float32, CPU, finite. Rounded by the guide (matrix_guide.h); an empty one: every input
// counts the same, every weight goes to its nearest. Throws Error(kBadData), naming `name`, where a scale exceeds
// float16.
QuantisedMatrix quantise_matrix(const torch::Tensor& matrix, elrt::TensorType type, PanelOrder order,
                                const std::string& name, const MatrixGuide& guide = {});

// An adapter's second matrix, [outputs, rank], in columns of Q8_0: 32 outputs of a rank share a scale.
QuantisedMatrix quantise_columns(const torch::Tensor& matrix, const std::string& name);

// What a reader of the quantised matrix sees: [outputs, inputs], float32. Of columns: that of the transposed matrix,
// transposed.
torch::Tensor dequantised(const torch::Tensor& matrix, elrt::TensorType type, const MatrixGuide& guide = {});

}  // namespace elastify
