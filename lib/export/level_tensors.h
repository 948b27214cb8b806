// The tensors of an exported file: the level's, with its adapter merged where asked, with units of zeros where the
// shape has them.
#pragma once

#include "export/export_shape.h"
#include "export/level_source.h"

namespace elastify {

struct LevelTensors {
  const LevelSource& source;
  const ExportShape& shape;
  bool merge = true;  // W + scale B A in place of W, where the level has an adapter

  // float32; `index` counts the written layers. A half of a block that the level leaves out adds nothing: neither
  // its zero units do nor a bias of o_proj, which becomes zero.
  torch::Tensor block(std::int64_t index, const BlockTensor& part) const;
  // The level's LoRA of a matrix, widened alike: A [rank, inputs], B [outputs, rank]; zeros where the level has none of
  // the matrix's units. block_matrices()[target].
  LoraPair lora(std::int64_t index, std::size_t target) const;

 private:
  BlockWidths written(std::int64_t index) const;
};

// Does the level's adapter adapt this matrix in any layer?
bool adapts(const Adapter& adapter, std::size_t target);

}  // namespace elastify
