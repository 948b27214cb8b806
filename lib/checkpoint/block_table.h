// The tensors of a block, one entry each: what they are called in a Hugging Face checkpoint and in an artifact, how
// wide they are, whose units they hold, which architectures have them and where they are kept. Whatever loads, slices,
// reorders, packs, quantises, trains or counts a block walks this table.
#pragma once

#include <elrt/block_tensors.h>

#include <span>
#include <string_view>
#include <vector>

#include "base/torch.h"
#include "checkpoint/model_config.h"

namespace elastify {

// Projections are [outputs, inputs] as in Hugging Face. Optional tensors are undefined where the model has none.
struct BlockWeights {
  torch::Tensor attn_norm;  // [hidden]
  torch::Tensor q, k, v,
      o;  // [groups * group_width, hidden], [groups * head_dim, hidden] twice, [hidden, groups * group_width]
  torch::Tensor q_bias, k_bias, v_bias, o_bias;
  torch::Tensor q_norm, k_norm;  // [head_dim]
  torch::Tensor attn_post_norm;  // [hidden], of what the attention adds
  torch::Tensor ffn_norm;        // [hidden]
  torch::Tensor gate, up, down;  // [neurons, hidden] twice, [hidden, neurons]
  torch::Tensor ffn_post_norm;   // [hidden], of what the MLP adds
};

using elrt::format::BlockWidths;
using elrt::format::Unit;

struct BlockTensor {
  const char* name;                  // after "model.layers.N.": Hugging Face's for Llama, where Llama has it
  elrt::format::BlockTensor stored;  // in the artifact: name, kind, extents
  torch::Tensor BlockWeights::*field;
  bool (*wanted)(const ModelConfig&);  // do models of this configuration have it?

  bool matrix() const { return stored.matrix(); }
  Unit unit() const { return stored.unit(); }
  // The dimension along which its units lie: 1 where they are inputs, else 0.
  std::int64_t unit_dimension() const { return stored.by_input() ? 1 : 0; }
  // How long that dimension is.
  std::int64_t unit_extent(const BlockWidths& widths) const {
    return static_cast<std::int64_t>(widths.of(stored.by_input() ? stored.inputs : stored.outputs));
  }
  std::vector<std::int64_t> shape(const BlockWidths& widths) const;
};

// Every entry, in the order of a checkpoint and of an artifact.
std::span<const BlockTensor> block_table();
// Those that models of this configuration have.
std::vector<BlockTensor> block_tensors(const ModelConfig& config);
// The matrices, which are what adapters adapt, in the order of their targets.
std::span<const BlockTensor> block_matrices();
// By the name after "model.layers.N."; nullptr: there is none.
const BlockTensor* find_block_tensor(std::string_view name);

// Of the whole model, and of a block that keeps so many units.
BlockWidths block_widths(const ModelConfig& config);
BlockWidths block_widths(const ModelConfig& config, std::int64_t kv_groups, std::int64_t neurons);

}  // namespace elastify
