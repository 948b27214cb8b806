// Guides for every matrix of a model's blocks, from calibration text: what enters the blocks is computed block by
// block, so that one block and the text's hidden states are in memory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "quantise/matrix_guide.h"

namespace elastify {

// How matrices that are quantised are rounded.
struct RoundingText {
  torch::Tensor tokens;             // [rows, seq] int64, CPU
  std::vector<LevelWidths> levels;  // whose prefixes must stay good on their own
  bool carry = true;                // what rounding one weight changes is made good by the next ones
};

// Of one block's matrices. q, k and v share their inputs, gate and up theirs.
struct BlockGuides {
  MatrixGuide attention, output, feed_forward, down;

  const MatrixGuide& of(const BlockTensor& matrix) const;
};

class GuidePass {
 public:
  // Called once for each layer, in ascending order; full width, float32, CPU.
  using Load = std::function<BlockWeights(std::int64_t layer)>;

  // `embedding`: [vocab, hidden], of any float dtype.
  GuidePass(const ModelConfig& config, const torch::Tensor& embedding, const RoundingText& text, Load load);

  // Layers in ascending order; valid until the next call. Throws Error(kBadData) where activations are not finite.
  const BlockGuides& at(std::int64_t layer);

 private:
  void advance();

  ModelConfig config_;
  std::vector<LevelWidths> levels_;
  bool carry_;
  Load load_;
  RotaryTables rotary_;
  torch::Tensor hidden_;  // [rows, seq, hidden], what enters layer done_
  std::int64_t done_ = 0;
  BlockGuides guides_;  // of layer done_ - 1
};

}  // namespace elastify
