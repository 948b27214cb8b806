// An adapter whose many small factors lie in one buffer, so that clipping, the optimizer and checkpoints each touch one
// tensor instead of hundreds.
#pragma once

#include "model/adapter.h"

namespace elastify {

struct FlatAdapter {
  Adapter adapter;          // float leaves that view `values`; their gradients view `gradients`
  torch::Tensor values;     // [weights]
  torch::Tensor gradients;  // [weights]; backward() adds to it, callers set it to zero
};

// Copies `adapter` (any dtype) into a float32 buffer (float64 where it holds float64) on its device.
FlatAdapter flatten_adapter(const Adapter& adapter);

// The part of it that a level of these widths uses: leaves that view flat.values, and where their gradients add up,
// views of flat.gradients in the order of leaves.parameters().
struct CutAdapter {
  Adapter leaves;
  std::vector<torch::Tensor> sums;
};
CutAdapter cut_leaves(const FlatAdapter& flat, const ModelConfig& config, const LevelWidths& widths);

// Another view of the same values with gradients of its own, for a pass next to the first.
FlatAdapter share_values(const FlatAdapter& flat);

// An adapter of the same shapes whose factors view `values`, without gradients.
Adapter unflatten_adapter(const Adapter& like, const torch::Tensor& values);

}  // namespace elastify
