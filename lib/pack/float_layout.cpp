#include "pack/float_layout.h"

#include <elrt/format.h>

namespace elastify {

torch::Tensor tile_inputs(const torch::Tensor& matrix) {
  const std::int64_t tile = elrt::format::kTileInputs, outputs = matrix.size(0), inputs = matrix.size(1);
  const std::int64_t tiles = (inputs + tile - 1) / tile;
  const torch::Tensor padded = torch::constant_pad_nd(matrix, {0, tiles * tile - inputs});
  return padded.view({outputs, tiles, tile}).transpose(0, 1).contiguous();
}

torch::Tensor in_columns(const torch::Tensor& matrix) {
  const std::int64_t side = elrt::format::kColumnOutputs, outputs = matrix.size(0),
                     panels = (outputs + side - 1) / side;
  const torch::Tensor padded = torch::constant_pad_nd(matrix, {0, 0, 0, panels * side - outputs});
  return padded.view({panels, side, matrix.size(1)}).transpose(1, 2).contiguous();
}

}  // namespace elastify
