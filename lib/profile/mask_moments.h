// Sums over tokens of per-token mask gradients: what importance is estimated from.
//
// A unit's mask m = 1 multiplies its activations where they enter o_proj (KV group) or down_proj (neuron). The mask's
// gradient at one token is g = sum over the unit's width of activation * d(..)/d(activation). Removing the unit is the
// step m: 1 -> 0, so to second order the summed loss changes by -sum g + 1/2 curvature.
#pragma once

#include "base/torch.h"
#include "model/decoder.h"
#include "profile/resume.h"

namespace elastify {

class MaskMoments {
 public:
  // All zero, float64, on `device`.
  MaskMoments(const ModelConfig& config, torch::Device device);

  // Gradients of the units' masks, [batch, seq, units], from values and gradients of [batch, seq, units * width] (any
  // float dtype). In float32, or float64 where the values are float64.
  torch::Tensor unit_gradients(UnitKind kind, const torch::Tensor& values, const torch::Tensor& gradients) const;

  // Each takes mask gradients of one layer; no host synchronisation.
  void add_first_inplace(std::int64_t layer, UnitKind kind, const torch::Tensor& g);
  // Squares are taken of sums over `tokens` neighbouring tokens of a row.
  void add_second_inplace(std::int64_t layer, UnitKind kind, const torch::Tensor& g, std::int64_t tokens);

  // sum g; sum of squares; sum over rows of (sum g within the row)^2. [layers, units] each.
  const torch::Tensor& first(UnitKind kind) const { return first_[static_cast<std::size_t>(kind)]; }
  const torch::Tensor& second(UnitKind kind) const { return second_[static_cast<std::size_t>(kind)]; }
  const torch::Tensor& row_squares(UnitKind kind) const { return row_squares_[static_cast<std::size_t>(kind)]; }
  // The same tensors by name, to be saved and restored in place.
  Accumulators accumulators() const;

 private:
  torch::Tensor first_[2], second_[2], row_squares_[2];  // by UnitKind
};

}  // namespace elastify
