// The written-out pass of a level against the decoder's autograd: hidden states and every gradient of the adapter.
#include <catch2/catch.hpp>

#include "model/level_pass.h"
#include "support/tiny_model.h"

namespace {

using namespace elastify;
using namespace elastify_test;
using torch::Tensor;

Adapter random_adapter(const ModelWeights& weights, double scale) {
  Adapter adapter =
      make_adapter(weights, {Target::kQ, Target::kK, Target::kV, Target::kO, Target::kGate, Target::kUp, Target::kDown},
                   3, 3 * scale, 0, 5);
  const torch::NoGradGuard no_grad;
  for (auto& block : adapter.blocks) {
    for (auto& pair : block) pair.b.copy_(torch::randn(pair.b.sizes()) * 0.1);
  }
  return adapter;
}

// Gradients of the full adapter, the level being cut from it: by autograd, through the unmerged forward pass.
std::vector<Tensor> expected_gradients(const ModelWeights& weights, const LevelWidths& widths, const Adapter& adapter,
                                       const Tensor& tokens, const Tensor& cotangent, Tensor& states) {
  Adapter leaves = adapter, cut = adapter;
  std::vector<Tensor> all;
  for (std::size_t layer = 0; layer < leaves.blocks.size(); ++layer) {
    const BlockWidths kept = block_widths(weights.config, widths.kv_groups[layer], widths.neurons[layer]);
    for (std::size_t i = 0; i < 7; ++i) {
      LoraPair& pair = leaves.blocks[layer][i];
      pair = {pair.a.detach().clone().requires_grad_(), pair.b.detach().clone().requires_grad_()};
      all.insert(all.end(), {pair.a, pair.b});
      const BlockTensor& part = block_matrices()[i];
      const std::int64_t extent = part.unit_extent(kept);
      cut.blocks[layer][i] = part.stored.by_input() ? LoraPair{pair.a.narrow(1, 0, extent), pair.b}
                                                    : LoraPair{pair.a, pair.b.narrow(0, 0, extent)};
    }
  }
  ForwardOptions options;
  options.adapter = &cut;
  const Tensor hidden = Decoder(slice_weights(weights, widths)).hidden(tokens, options).flatten(0, 1);
  hidden.backward(cotangent);
  states = hidden.detach();
  std::vector<Tensor> gradients;
  for (const Tensor& leaf : all) gradients.push_back(leaf.grad());
  return gradients;
}

void check_close(const Tensor& found, const Tensor& expected, double tolerance) {
  const double scale = expected.abs().max().item<double>() + 1e-12;
  CHECK((found.to(torch::kFloat32) - expected).abs().max().item<double>() <= tolerance * scale);
}

void compare(const TinyShape& shape, const LevelWidths& widths, torch::ScalarType type, double tolerance) {
  const ModelWeights weights = tiny_model(shape);
  torch::manual_seed(7);
  const Adapter adapter = random_adapter(weights, 1.5);
  const Tensor tokens = torch::randint(shape.vocab, {2, 11}, torch::kInt64);
  const Tensor cotangent = torch::randn({22, shape.hidden});
  Tensor states;
  const auto expected = expected_gradients(weights, widths, adapter, tokens, cotangent, states);

  LevelPass pass(weights, type);
  pass.merge(&adapter);
  LevelPass::Trace trace;
  check_close(pass.forward(tokens, widths, &trace), states, tolerance);
  CHECK(pass.forward(tokens, widths).equal(pass.forward(tokens, widths, &trace)));
  Adapter sums = adapter;
  for (auto& block : sums.blocks) {
    for (auto& pair : block) pair = {torch::zeros_like(pair.a.detach()), torch::zeros_like(pair.b.detach())};
  }
  pass.backward(trace, widths, cotangent.to(type), slice_adapter(sums, weights.config, widths));
  const auto found = sums.parameters();
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) check_close(found[i], expected[i], tolerance);

  pass.merge(nullptr);  // the plain sub-model again
  check_close(pass.forward(tokens, widths), Decoder(slice_weights(weights, widths)).hidden(tokens).flatten(0, 1),
              tolerance);
}

}  // namespace

TEST_CASE("a level's written-out pass equals autograd through the unmerged adapter", "[model][unit]") {
  // float32: a few dozen sums in another order, and W + s B A rounded once. bfloat16: 2^-8 a product, a dozen of them.
  TinyShape shape;
  const std::pair<torch::ScalarType, double> types[] = {{torch::kFloat32, 2e-5}, {torch::kBFloat16, 0.1}};
  for (const auto& [type, tolerance] : types) {
    if (type == torch::kBFloat16 && !multiplies_bfloat16(torch::kCPU)) continue;  // no recovery takes that pass then
    shape.qkv_bias = false;
    compare(shape, {{2, 2}, {48, 48}}, type, tolerance);
    compare(shape, {{1, 2}, {32, 16}}, type, tolerance);
    shape.qkv_bias = true;
    compare(shape, {{2, 1}, {48, 32}}, type, tolerance);
  }
}

TEST_CASE("a pass is there for plain float32 models on the CPU alone", "[model][unit]") {
  TinyShape shape;
  CHECK(has_level_pass(tiny_model(shape), 64));
  CHECK_FALSE(has_level_pass(tiny_model(shape, 1, torch::kFloat64), 64));
  shape.qk_norm = true;
  CHECK_FALSE(has_level_pass(tiny_model(shape), 64));
}
