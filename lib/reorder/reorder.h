// Rewrites a checkpoint with the units of every block in a new order, tensor by tensor.
#pragma once

#include <vector>

#include "checkpoint/checkpoint.h"
#include "model/weights.h"
#include "reorder/permutation.h"

namespace elastify {

// One permutation per layer and kind.
struct UnitOrder {
  std::vector<Permutation> groups, neurons;
};

// Highest importance first. groups: [layers, kv_groups], neurons: [layers, neurons].
UnitOrder order_by_importance(const torch::Tensor& groups, const torch::Tensor& neurons);
// Every unit stays where it is.
UnitOrder order_of_checkpoint(const ModelConfig& config);

// One stored tensor, by its Hugging Face name, with its units moved: rows of q, k, v (with biases), gate and up,
// columns of o and down. Norms, the bias of o_proj and everything outside the blocks are returned as they are.
torch::Tensor reorder_tensor(const std::string& name, const torch::Tensor& tensor, const ModelConfig& config,
                             const UnitOrder& order);

// Writes `directory` as a Hugging Face checkpoint (config.json, model.safetensors) in the stored dtype. Streams: one
// tensor is in memory at a time. Throws Error(kBadData) on NaN or infinite weights.
void write_reordered(const Checkpoint& source, const UnitOrder& order, const fs::path& directory);

// Runs `tokens` ([batch, seq] int64) through both checkpoints in float64, one block in memory at a time. Returns the
// largest difference of the logits relative to the largest logit; 0 where they are equal, be they all zero. Throws
// Error(kBadData) where those of `a` are not finite.
double compare_logits(const Checkpoint& a, const Checkpoint& b, const torch::Tensor& tokens);

}  // namespace elastify
