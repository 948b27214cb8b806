// Layers of which a level keeps no KV group or no neuron, against a model in which those halves do nothing or those
// layers do not stand at all.
#include "model/decoder.h"
#include "support/tiny_model.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

using namespace elastify;
using namespace elastify_test;

namespace {

TinyShape three_layers() {
  TinyShape shape;
  shape.layers = 3;
  shape.qkv_bias = shape.qk_norm = true;
  return shape;
}

const torch::Tensor kTokens = (torch::arange(24, torch::kInt64) * 7 % 32).view({2, 12});

// The full model with the outputs of the halves that `widths` empties forced to zero: nothing else of it is cut.
ModelWeights silenced(ModelWeights weights, const LevelWidths& widths) {
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    BlockWeights& block = weights.blocks[layer];
    if (widths.kv_groups[layer] == 0) block.o = torch::zeros_like(block.o);
    if (widths.neurons[layer] == 0) block.down = torch::zeros_like(block.down);
  }
  return weights;
}

}  // namespace

TEST_CASE("a layer's empty half adds nothing", "[model][unit]") {
  torch::NoGradGuard no_grad;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32}) {
    const ModelWeights weights = tiny_model(three_layers(), 3, dtype);
    const double tolerance = dtype == torch::kFloat64 ? 1e-12 : 1e-5;
    for (const LevelWidths& widths :
         {LevelWidths{{0, 2, 2}, {48, 48, 48}}, {{2, 2, 2}, {48, 0, 48}}, {{0, 2, 0}, {0, 48, 48}}}) {
      const torch::Tensor sliced = Decoder(slice_weights(weights, widths)).logits(kTokens);
      const torch::Tensor expected = Decoder(silenced(weights, widths)).logits(kTokens);
      CHECK((sliced - expected).abs().max().item<double>() < tolerance);
    }
  }
}

TEST_CASE("a layer whose halves are both empty is as good as deleted", "[model][unit]") {
  torch::NoGradGuard no_grad;
  const ModelWeights weights = tiny_model(three_layers(), 4, torch::kFloat64);
  ModelWeights without = weights;
  without.blocks.erase(without.blocks.begin() + 1);
  const Decoder sliced(slice_weights(weights, {{2, 0, 2}, {48, 0, 48}}));
  CHECK(torch::equal(sliced.logits(kTokens), Decoder(without).logits(kTokens)));
}

TEST_CASE("a key-value cache goes past layers without KV groups", "[model][unit]") {
  torch::NoGradGuard no_grad;
  const ModelWeights weights = tiny_model(three_layers(), 5, torch::kFloat64);
  const Decoder decoder(slice_weights(weights, {{0, 1, 0}, {16, 0, 48}}));
  KvCache cache;
  ForwardOptions options;
  options.cache = &cache;
  std::vector<torch::Tensor> steps;
  for (std::int64_t t = 0; t < kTokens.size(1); ++t) steps.push_back(decoder.logits(kTokens.narrow(1, t, 1), options));
  CHECK((torch::cat(steps, 1) - decoder.logits(kTokens)).abs().max().item<double>() < 1e-12);
}
