#include "checkpoint/block_table.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace elastify {
namespace {

namespace name = elrt::format::tensor;
using elrt::format::block_tensor;
using W = BlockWeights;

bool always(const ModelConfig&) { return true; }
bool with_qkv_bias(const ModelConfig& config) { return config.qkv_bias; }
bool with_output_bias(const ModelConfig& config) { return config.output_bias; }
bool with_half_norms(const ModelConfig& config) { return config.half_norms; }
bool with_head_norms(const ModelConfig& config) { return config.qk_norm; }

constexpr std::array kTable = {
    BlockTensor{"input_layernorm.weight", block_tensor(name::kAttnNorm), &W::attn_norm, always},
    BlockTensor{"self_attn.q_proj.weight", block_tensor(name::kAttnQ), &W::q, always},
    BlockTensor{"self_attn.k_proj.weight", block_tensor(name::kAttnK), &W::k, always},
    BlockTensor{"self_attn.v_proj.weight", block_tensor(name::kAttnV), &W::v, always},
    BlockTensor{"self_attn.q_proj.bias", block_tensor(name::kAttnQBias), &W::q_bias, with_qkv_bias},
    BlockTensor{"self_attn.k_proj.bias", block_tensor(name::kAttnKBias), &W::k_bias, with_qkv_bias},
    BlockTensor{"self_attn.v_proj.bias", block_tensor(name::kAttnVBias), &W::v_bias, with_qkv_bias},
    BlockTensor{"self_attn.q_norm.weight", block_tensor(name::kAttnQNorm), &W::q_norm, with_head_norms},
    BlockTensor{"self_attn.k_norm.weight", block_tensor(name::kAttnKNorm), &W::k_norm, with_head_norms},
    BlockTensor{"self_attn.o_proj.weight", block_tensor(name::kAttnOutput), &W::o, always},
    BlockTensor{"self_attn.o_proj.bias", block_tensor(name::kAttnOutputBias), &W::o_bias, with_output_bias},
    BlockTensor{"self_attn.added_norm.weight", block_tensor(name::kAttnPostNorm), &W::attn_post_norm, with_half_norms},
    BlockTensor{"post_attention_layernorm.weight", block_tensor(name::kFfnNorm), &W::ffn_norm, always},
    BlockTensor{"mlp.gate_proj.weight", block_tensor(name::kFfnGate), &W::gate, always},
    BlockTensor{"mlp.up_proj.weight", block_tensor(name::kFfnUp), &W::up, always},
    BlockTensor{"mlp.down_proj.weight", block_tensor(name::kFfnDown), &W::down, always},
    BlockTensor{"mlp.added_norm.weight", block_tensor(name::kFfnPostNorm), &W::ffn_post_norm, with_half_norms},
};

// Entries stand in the artifact's order and none is missing.
constexpr bool follows_artifact() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (std::string_view(kTable[i].stored.name) != elrt::format::kBlockTensors[i].name) return false;
  }
  return kTable.size() == std::size(elrt::format::kBlockTensors);
}
static_assert(follows_artifact());

}  // namespace

std::vector<std::int64_t> BlockTensor::shape(const BlockWidths& widths) const {
  const auto outputs = static_cast<std::int64_t>(widths.of(stored.outputs));
  if (!matrix()) return {outputs};
  return {outputs, static_cast<std::int64_t>(widths.of(stored.inputs))};
}

std::span<const BlockTensor> block_table() { return kTable; }

std::vector<BlockTensor> block_tensors(const ModelConfig& config) {
  std::vector<BlockTensor> found;
  std::copy_if(kTable.begin(), kTable.end(), std::back_inserter(found),
               [&](const BlockTensor& entry) { return entry.wanted(config); });
  return found;
}

std::span<const BlockTensor> block_matrices() {
  static const std::vector<BlockTensor> matrices = [] {
    std::vector<BlockTensor> found;
    std::copy_if(kTable.begin(), kTable.end(), std::back_inserter(found),
                 [](const BlockTensor& entry) { return entry.matrix(); });
    return found;
  }();
  return matrices;
}

const BlockTensor* find_block_tensor(std::string_view name) {
  const auto found =
      std::find_if(kTable.begin(), kTable.end(), [&](const BlockTensor& entry) { return entry.name == name; });
  return found == kTable.end() ? nullptr : &*found;
}

BlockWidths block_widths(const ModelConfig& c, std::int64_t kv_groups, std::int64_t neurons) {
  const auto plain = [](std::int64_t width) { return static_cast<std::uint64_t>(width); };
  return {plain(c.hidden_size), plain(c.head_dim), plain(kv_groups * c.group_width()), plain(kv_groups * c.head_dim),
          plain(neurons)};
}

BlockWidths block_widths(const ModelConfig& c) { return block_widths(c, c.num_kv_heads, c.intermediate_size); }

}  // namespace elastify
