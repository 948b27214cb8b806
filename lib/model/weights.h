// A decoder's weights as tensors, and sub-models as views of them.
#pragma once

#include <vector>

#include "base/torch.h"
#include "checkpoint/block_table.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/model_config.h"

namespace elastify {

struct ModelWeights {
  ModelConfig config;        // of the full model, whatever the blocks were sliced to
  torch::Tensor embedding;   // [vocab, hidden]
  torch::Tensor final_norm;  // [hidden]
  torch::Tensor head;        // [vocab, hidden]; the embedding itself where tied
  std::vector<BlockWeights> blocks;
};

// Units that each block keeps: the first kv_groups[l] KV groups and the first neurons[l] MLP neurons of layer l. 0: the
// half is empty and adds nothing, neither its norm nor a bias of o_proj is computed.
struct LevelWidths {
  std::vector<std::int64_t> kv_groups, neurons;
  bool operator==(const LevelWidths&) const = default;
};
LevelWidths full_widths(const ModelConfig& config);

// One block in `dtype` on `device`. Where neither changes, the tensors are views of the mapped file.
// Throws Error(kBadData) on NaN or infinite values.
BlockWeights load_block(const Checkpoint& checkpoint, std::int64_t layer, torch::Device device,
                        torch::ScalarType dtype);
ModelWeights load_weights(const Checkpoint& checkpoint, torch::Device device, torch::ScalarType dtype);

// The sub-model's block: views of the first units, no copies. Throws Error(kInternal) on widths the block cannot have.
BlockWeights slice_block(const BlockWeights& block, const ModelConfig& config, std::int64_t kv_groups,
                         std::int64_t neurons);
ModelWeights slice_weights(const ModelWeights& weights, const LevelWidths& widths);

}  // namespace elastify
