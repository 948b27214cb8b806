#include "model/weights.h"

#include "base/error.h"

namespace elastify {

LevelWidths full_widths(const ModelConfig& config) {
  const auto layers = static_cast<std::size_t>(config.num_layers);
  return {std::vector<std::int64_t>(layers, config.num_kv_heads),
          std::vector<std::int64_t>(layers, config.intermediate_size)};
}

BlockWeights load_block(const Checkpoint& checkpoint, std::int64_t layer, torch::Device device,
                        torch::ScalarType dtype) {
  const ModelConfig& c = checkpoint.config();
  const auto load = [&](const char* part) {
    return checkpoint.finite_tensor(block_tensor_name(layer, part)).to(device, dtype);
  };
  BlockWeights block;
  block.attn_norm = load("input_layernorm.weight");
  block.q = load("self_attn.q_proj.weight");
  block.k = load("self_attn.k_proj.weight");
  block.v = load("self_attn.v_proj.weight");
  block.o = load("self_attn.o_proj.weight");
  if (c.qkv_bias) {
    block.q_bias = load("self_attn.q_proj.bias");
    block.k_bias = load("self_attn.k_proj.bias");
    block.v_bias = load("self_attn.v_proj.bias");
  }
  if (c.output_bias) block.o_bias = load("self_attn.o_proj.bias");
  if (c.qk_norm) {
    block.q_norm = load("self_attn.q_norm.weight");
    block.k_norm = load("self_attn.k_norm.weight");
  }
  block.ffn_norm = load("post_attention_layernorm.weight");
  block.gate = load("mlp.gate_proj.weight");
  block.up = load("mlp.up_proj.weight");
  block.down = load("mlp.down_proj.weight");
  return block;
}

ModelWeights load_weights(const Checkpoint& checkpoint, torch::Device device, torch::ScalarType dtype) {
  ModelWeights weights;
  weights.config = checkpoint.config();
  weights.embedding = checkpoint.finite_tensor(kEmbeddingName).to(device, dtype);
  weights.final_norm = checkpoint.finite_tensor(kFinalNormName).to(device, dtype);
  weights.head =
      weights.config.tied_embeddings ? weights.embedding : checkpoint.finite_tensor(kHeadName).to(device, dtype);
  for (std::int64_t layer = 0; layer < weights.config.num_layers; ++layer) {
    weights.blocks.push_back(load_block(checkpoint, layer, device, dtype));
  }
  return weights;
}

BlockWeights slice_block(const BlockWeights& block, const ModelConfig& c, std::int64_t kv_groups,
                         std::int64_t neurons) {
  require(kv_groups >= 1 && kv_groups * c.head_dim <= block.k.size(0) && neurons >= 1 && neurons <= block.gate.size(0),
          "cannot slice a block of {} KV groups and {} neurons to {} and {}", block.k.size(0) / c.head_dim,
          block.gate.size(0), kv_groups, neurons);
  const std::int64_t query_rows = kv_groups * c.group_width(), kv_rows = kv_groups * c.head_dim;
  const auto first_rows = [](const torch::Tensor& t, std::int64_t rows) {
    return t.defined() ? t.narrow(0, 0, rows) : t;
  };
  BlockWeights sliced = block;
  sliced.q = first_rows(block.q, query_rows);
  sliced.k = first_rows(block.k, kv_rows);
  sliced.v = first_rows(block.v, kv_rows);
  sliced.q_bias = first_rows(block.q_bias, query_rows);
  sliced.k_bias = first_rows(block.k_bias, kv_rows);
  sliced.v_bias = first_rows(block.v_bias, kv_rows);
  sliced.o = block.o.narrow(1, 0, query_rows);
  sliced.gate = first_rows(block.gate, neurons);
  sliced.up = first_rows(block.up, neurons);
  sliced.down = block.down.narrow(1, 0, neurons);
  return sliced;
}

ModelWeights slice_weights(const ModelWeights& weights, const LevelWidths& widths) {
  ModelWeights sliced = weights;
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    sliced.blocks[layer] =
        slice_block(weights.blocks[layer], weights.config, widths.kv_groups[layer], widths.neurons[layer]);
  }
  return sliced;
}

}  // namespace elastify
