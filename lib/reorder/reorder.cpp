#include "reorder/reorder.h"

#include <cmath>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/hf_layout.h"
#include "model/decoder.h"

namespace elastify {
namespace {

// "model.layers.12.mlp.up_proj.weight" -> 12, "mlp.up_proj.weight"; -1 outside the blocks
std::pair<std::int64_t, std::string_view> split_name(std::string_view name) {
  constexpr std::string_view kPrefix = "model.layers.";
  const auto dot = name.find('.', kPrefix.size());
  if (!name.starts_with(kPrefix) || dot == std::string_view::npos) return {-1, name};
  return {std::stoll(std::string(name.substr(kPrefix.size(), dot - kPrefix.size()))), name.substr(dot + 1)};
}

}  // namespace

UnitOrder order_by_importance(const torch::Tensor& groups, const torch::Tensor& neurons) {
  UnitOrder order;
  for (std::int64_t layer = 0; layer < groups.size(0); ++layer) {
    order.groups.push_back(Permutation::by_falling_score(groups[layer]));
    order.neurons.push_back(Permutation::by_falling_score(neurons[layer]));
  }
  return order;
}

UnitOrder order_of_checkpoint(const ModelConfig& config) {
  const auto layers = static_cast<std::size_t>(config.num_layers);
  return {std::vector<Permutation>(layers, Permutation::identity(config.num_kv_heads)),
          std::vector<Permutation>(layers, Permutation::identity(config.intermediate_size))};
}

torch::Tensor reorder_tensor(const std::string& name, const torch::Tensor& tensor, const ModelConfig& config,
                             const UnitOrder& order) {
  const auto [layer, part] = split_name(name);
  const BlockTensor* entry = layer < 0 ? nullptr : find_block_tensor(part);
  if (entry == nullptr || entry->unit() == Unit::kNone) return tensor;
  const auto& permutations = entry->unit() == Unit::kGroup ? order.groups : order.neurons;
  const Permutation& permutation = permutations[static_cast<std::size_t>(layer)];
  const std::int64_t unit_width = entry->unit_extent(block_widths(config, 1, 1));
  return permutation.apply(tensor, entry->unit_dimension(), unit_width);
}

void write_reordered(const Checkpoint& source, const UnitOrder& order, const fs::path& directory) {
  const ModelConfig& config = source.config();
  write_json(directory / "config.json", model_config_to_hf(config));
  write_hf_weights(
      directory / "model.safetensors", config, [&](const ModelTensor& tensor) { return source.dtype(tensor.name); },
      [&](const ModelTensor& tensor) {
        return reorder_tensor(tensor.name, source.finite_tensor(tensor.name), config, order);
      },
      [&](const ModelTensor& tensor) { source.release(tensor.name); }, "reorder");
}

double compare_logits(const Checkpoint& a, const Checkpoint& b, const torch::Tensor& tokens) {
  torch::NoGradGuard no_grad;
  const ModelConfig& config = a.config();
  const RotaryTables rotary = make_rotary_tables(config, tokens.size(1), torch::kCPU, torch::kFloat64);
  const auto run = [&](const Checkpoint& checkpoint) {
    // Only the rows in use: the whole table in float64 may be large.
    torch::Tensor x = checkpoint.tensor(kEmbeddingName)
                          .index_select(0, tokens.reshape({-1}))
                          .to(torch::kFloat64)
                          .view({tokens.size(0), tokens.size(1), -1})
                          .mul_(config.embedding_scale);
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
      x = block_forward(load_block(checkpoint, layer, torch::kCPU, torch::kFloat64), config, rotary, layer, x);
    }
    x = rms_norm(x, checkpoint.tensor(kFinalNormName).to(torch::kFloat64), config.rms_norm_eps);
    const torch::Tensor head = checkpoint.tensor(config.tied_embeddings ? kEmbeddingName : kHeadName);
    std::vector<torch::Tensor> parts;
    constexpr std::int64_t kRows = 4096;  // of the head at a time
    for (std::int64_t row = 0; row < head.size(0); row += kRows) {
      parts.push_back(
          torch::matmul(x, head.narrow(0, row, std::min(kRows, head.size(0) - row)).to(torch::kFloat64).t()));
    }
    return torch::cat(parts, -1);
  };
  const torch::Tensor expected = run(a), found = run(b);
  const double difference = (expected - found).abs().max().item<double>(),
               largest = expected.abs().max().item<double>();
  if (!std::isfinite(largest))
    fail_data("{}: its logits are not finite: the checkpoint's weights are too large", a.path().string());
  return difference == 0 ? 0 : difference / largest;  // a model whose logits are all zero has no scale
}

}  // namespace elastify
