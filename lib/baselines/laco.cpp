#include "baselines/laco.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"

namespace elastify {
namespace {

// The layers that are left, from bottom to top.
struct Stack {
  std::vector<BlockWeights> blocks;
  std::vector<std::int64_t> layers;  // of the full model
  std::int64_t size() const { return static_cast<std::int64_t>(blocks.size()); }
};

BlockWeights merged_block(const Stack& stack, std::int64_t base, std::int64_t count, LacoReading reading) {
  const auto at = [&](std::int64_t i) -> const BlockWeights& { return stack.blocks[static_cast<std::size_t>(i)]; };
  BlockWeights merged = at(base);
  for (const BlockTensor& part : block_matrices()) {
    if (reading == LacoReading::kInPlace) {
      merged.*part.field = at(base + count).*part.field;
      continue;
    }
    torch::Tensor sum = (at(base).*part.field).clone();
    for (std::int64_t k = 1; k <= count; ++k) sum.add_(at(base + k).*part.field - at(base).*part.field);
    merged.*part.field = sum;
  }
  return merged;
}

Stack merge(const Stack& stack, std::int64_t base, std::int64_t count, LacoReading reading) {
  Stack merged = stack;
  merged.blocks[static_cast<std::size_t>(base)] = merged_block(stack, base, count, reading);
  merged.blocks.erase(merged.blocks.begin() + base + 1, merged.blocks.begin() + base + 1 + count);
  merged.layers.erase(merged.layers.begin() + base + 1, merged.layers.begin() + base + 1 + count);
  return merged;
}

torch::Tensor hidden_states(const ModelWeights& full, const Stack& stack, const torch::Tensor& sentences) {
  ModelWeights weights = full;
  weights.blocks = stack.blocks;
  return Decoder(weights).hidden(sentences);
}

// One sweep from the top down; removes at most `count` layers and returns how many.
std::int64_t sweep(const ModelWeights& full, const torch::Tensor& sentences, const torch::Tensor& expected,
                   std::int64_t count, double threshold, LacoReading reading, Stack& stack) {
  std::int64_t removed = 0;
  std::int64_t layer = std::max<std::int64_t>(0, stack.size() - 1 - kLacoLayers);
  while (layer >= 0 && removed < count) {
    stop_if_interrupted();
    const std::int64_t here = std::min({kLacoLayers - 1, stack.size() - layer - 1, count - removed});
    if (here > 0) {
      Stack merged = merge(stack, layer, here, reading);
      if (hidden_similarity(hidden_states(full, merged, sentences), expected) > threshold) {
        stack = std::move(merged);
        removed += here;
        layer -= kLacoInterval;
        if (layer >= stack.size()) layer = stack.size() - 1 - kLacoLayers;
        continue;
      }
    }
    --layer;
  }
  return removed;
}

}  // namespace

double hidden_similarity(const torch::Tensor& a, const torch::Tensor& b) {
  return torch::cosine_similarity(a.flatten(1).to(torch::kFloat64), b.flatten(1).to(torch::kFloat64), 1)
      .mean()
      .item<double>();
}

LacoResult laco(const Decoder& full, const torch::Tensor& sentences, std::int64_t count, LacoReading reading) {
  const torch::NoGradGuard no_grad;
  const std::int64_t layers = full.num_layers();
  require(count >= 0 && count < layers, "laco: cannot remove {} of {} layers", count, layers);
  Stack stack{full.weights().blocks, {}};
  for (std::int64_t layer = 0; layer < layers; ++layer) stack.layers.push_back(layer);
  const torch::Tensor expected = full.hidden(sentences);
  LacoResult result;
  result.threshold = kLacoThreshold;
  for (std::int64_t left = count; left > 0;) {
    left -= sweep(full.weights(), sentences, expected, left, result.threshold, reading, stack);
    if (left > 0) result.threshold -= kLacoThresholdStep;
  }
  result.weights = full.weights();
  std::size_t next = 0;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    if (next < stack.layers.size() && stack.layers[next] == layer)
      result.weights.blocks[static_cast<std::size_t>(layer)] = stack.blocks[next++];
    else
      result.removed.push_back(layer);
  }
  return result;
}

}  // namespace elastify
