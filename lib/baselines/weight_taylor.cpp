#include "baselines/weight_taylor.h"

#include <algorithm>
#include <cmath>

#include "base/interrupt.h"
#include "base/log.h"

namespace elastify {
namespace {

constexpr std::int64_t kGradientTokens = 1024;

// The same weights as leaves of a graph; nothing is copied.
ModelWeights with_gradients(const ModelWeights& weights) {
  ModelWeights leaves = weights;
  for (BlockWeights& block : leaves.blocks) {
    for (const BlockTensor& part : block_table()) {
      torch::Tensor& tensor = block.*part.field;
      if (part.unit() != Unit::kNone && tensor.defined()) tensor = tensor.detach().requires_grad_(true);
    }
  }
  return leaves;
}

// Sum of |w g| over each unit's entries of one tensor, [units].
torch::Tensor unit_sums(const BlockTensor& part, const torch::Tensor& weight, std::int64_t units) {
  const torch::Tensor product = (weight.detach() * weight.grad()).abs();
  const torch::Tensor rows = part.stored.by_input() ? product.t() : product;
  return rows.reshape({units, -1}).sum(1, false, torch::kFloat64).to(torch::kCPU);
}

}  // namespace

UnitScores weight_taylor_scores(const Decoder& decoder, const TokenRows& rows) {
  const ModelConfig& c = decoder.config();
  const Decoder model(with_gradients(decoder.weights()));
  const double tokens = static_cast<double>(count_predictions(rows));
  const std::int64_t step = std::max<std::int64_t>(1, kGradientTokens / rows.seq());
  const torch::Device device = decoder.weights().embedding.device();
  Progress progress("weight gradients", rows.rows(), "rows");
  for (std::int64_t row = 0; row < rows.rows(); row += step) {
    const torch::AutoGradMode with_grad(true);
    const std::int64_t here = std::min(step, rows.rows() - row);
    const torch::Tensor logits = model.logits(rows.inputs.narrow(0, row, here).to(device));
    (summed_loss(logits, rows.targets.narrow(0, row, here).to(device)) / tokens).backward();
    progress.update(row + here);
    stop_if_interrupted();
  }
  const torch::NoGradGuard no_grad;
  UnitScores scores{torch::zeros({c.num_layers, c.num_kv_heads}, torch::kFloat64),
                    torch::zeros({c.num_layers, c.intermediate_size}, torch::kFloat64)};
  for (std::int64_t layer = 0; layer < c.num_layers; ++layer) {
    const BlockWeights& block = model.weights().blocks[static_cast<std::size_t>(layer)];
    for (const BlockTensor& part : block_table()) {
      const torch::Tensor& weight = block.*part.field;
      if (part.unit() == Unit::kNone || !weight.defined()) continue;
      torch::Tensor table = part.unit() == Unit::kGroup ? scores.groups : scores.neurons;
      table[layer].add_(unit_sums(part, weight, table.size(1)));
    }
  }
  return scores;
}

std::vector<std::int64_t> llm_pruner_whole_layers(std::int64_t layers) {
  const auto scaled = [&](std::int64_t of_32) { return std::llround(static_cast<double>(of_32 * layers) / 32); };
  std::vector<std::int64_t> whole;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    if (layer < scaled(4) || layer >= scaled(30)) whole.push_back(layer);
  }
  return whole;
}

}  // namespace elastify
