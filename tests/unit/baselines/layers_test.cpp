// Layers that go, merge or stay, and neurons chosen token by token.
#include <cmath>

#include "baselines/contextual.h"
#include "baselines/laco.h"
#include "baselines/layer_drop.h"
#include "baselines/method.h"
#include "support/tiny_model.h"

#undef CHECK  // of LibTorch's logging; Catch2 has its own
#include <catch2/catch.hpp>

using namespace elastify;
using namespace elastify_test;

namespace {

TinyShape deep() {
  TinyShape shape;
  shape.layers = 10;
  return shape;
}

TokenRows rows_of(std::int64_t vocab) {
  torch::manual_seed(9);
  const torch::Tensor stream = torch::randint(vocab, {6, 13}, torch::kInt64);
  return {stream.narrow(1, 0, 12).contiguous(), stream.narrow(1, 1, 12).contiguous()};
}

double cosine(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.dot(b) / (a.norm() * b.norm())).item<double>();
}

}  // namespace

TEST_CASE("block influence and attention's share are mean cosines over tokens", "[baselines][unit]") {
  const ModelWeights weights = tiny_model({}, 2, torch::kFloat64);
  const Decoder decoder(weights);
  const TokenRows rows = rows_of(32);
  const ActivationStats stats = activation_stats(decoder, rows);
  torch::Tensor x = decoder.embed(rows.inputs);
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    // Without its MLP a block is x + Attn(norm(x)).
    ModelWeights attention = weights;
    attention.blocks[static_cast<std::size_t>(layer)].down =
        torch::zeros_like(weights.blocks[static_cast<std::size_t>(layer)].down);
    const torch::Tensor out = decoder.block(layer, x), half = Decoder(attention).block(layer, x);
    double block = 0, attended = 0;
    for (std::int64_t row = 0; row < 6; ++row) {
      for (std::int64_t t = 0; t < 12; ++t) {
        block += cosine(x[row][t], out[row][t]) / 72;
        attended += cosine(x[row][t], half[row][t]) / 72;
      }
    }
    CHECK(stats.block_cosine[static_cast<std::size_t>(layer)] == Approx(block).epsilon(1e-9));
    CHECK(stats.attention_cosine[static_cast<std::size_t>(layer)] == Approx(attended).epsilon(1e-9));
    x = out;
  }
}

TEST_CASE("levels become whole layers, the least influential first", "[baselines][unit]") {
  CHECK(layers_at(30, 90) == 27);
  CHECK(layers_at(30, 50) == 15);
  CHECK(layers_at(3, 1) == 1);
  CHECK(lowest_layers({0.5, 0.1, 0.4, 0.1}, 2) == std::vector<std::int64_t>{1, 3});
  const ModelConfig config = tiny_config(deep());
  CHECK(block_ratio(config, without_layers(config, {2, 7})) == Approx(0.8).margin(0.01));  // norms stay counted
}

TEST_CASE("attention blocks go until the level is met, or it is out of reach", "[baselines][unit]") {
  const ModelWeights weights = tiny_model(deep(), 2);
  const Decoder full(weights);
  const TokenRows rows = rows_of(32);
  MethodInputs inputs(full, rows, 1, 8);
  const Method& method = *find_methods({"attndrop"})[0];
  // A group has 2 * (2 * 4 + 4) * 16 / 2 weights; attention is a quarter of this block.
  const Candidate made = method.make(inputs, 90);
  REQUIRE(made.infeasible.empty());
  CHECK(made.plan.block_ratio == Approx(0.9).margin(0.02));
  CHECK(made.plan.widths.neurons == full_widths(full.config()).neurons);
  CHECK_THAT(method.make(inputs, 20).infeasible, Catch::Matchers::Contains("without any attention"));
}

TEST_CASE("LaCo: the paper sums differences, the released update leaves the highest layer", "[baselines][unit]") {
  const ModelWeights weights = tiny_model(deep(), 4, torch::kFloat64);
  const Decoder full(weights);
  const torch::Tensor sentences = rows_of(32).inputs.narrow(0, 0, 5);
  // Four layers to go: the first sweep begins at layer 10 - 1 - 7 = 2; with the threshold met at once, 3 to 6 collapse.
  const LacoResult paper = laco(full, sentences, 4, LacoReading::kMergedDifferences);
  const LacoResult released = laco(full, sentences, 4, LacoReading::kInPlace);
  for (const LacoResult* result : {&paper, &released}) {
    REQUIRE(result->removed.size() == 4);
    CHECK(result->removed[3] - result->removed[0] == 3);
    CHECK(result->threshold <= kLacoThreshold + 1e-12);
  }
  const auto base = static_cast<std::size_t>(paper.removed[0] - 1);
  torch::Tensor expected = weights.blocks[base].up.clone();
  for (std::size_t k = 1; k <= 4; ++k) expected += weights.blocks[base + k].up - weights.blocks[base].up;
  CHECK(torch::allclose(paper.weights.blocks[base].up, expected));
  const auto kept = static_cast<std::size_t>(released.removed[0] - 1);
  CHECK(torch::equal(released.weights.blocks[kept].q, weights.blocks[kept + 4].q));
  CHECK(torch::equal(released.weights.blocks[kept].attn_norm, weights.blocks[kept].attn_norm));
}

TEST_CASE("LaCo accepts a merge only above its threshold", "[baselines][unit]") {
  ModelWeights weights = tiny_model(deep(), 4, torch::kFloat64);
  // Layers 5 and above do nothing, so that merging them keeps every hidden state; those below change much.
  for (std::size_t layer = 5; layer < 10; ++layer) {
    weights.blocks[layer].o = torch::zeros_like(weights.blocks[layer].o);
    weights.blocks[layer].down = torch::zeros_like(weights.blocks[layer].down);
  }
  const Decoder full(weights);
  const torch::Tensor sentences = rows_of(32).inputs.narrow(0, 0, 5);
  const LacoResult result = laco(full, sentences, 2, LacoReading::kInPlace);
  const LevelWidths widths = without_layers(full.config(), result.removed);
  const Decoder cut(slice_weights(result.weights, widths));
  CHECK(hidden_similarity(cut.hidden(sentences), full.hidden(sentences)) > result.threshold);
}

TEST_CASE("a model without layers computes what one with those layers deleted computes", "[baselines][unit]") {
  const ModelWeights weights = tiny_model(deep(), 4);
  ModelWeights deleted = weights;
  deleted.blocks.erase(deleted.blocks.begin() + 6);
  deleted.blocks.erase(deleted.blocks.begin() + 2);
  const torch::Tensor tokens = rows_of(32).inputs;
  const Decoder cut(slice_weights(weights, without_layers(weights.config, {2, 6})));
  CHECK(torch::equal(cut.hidden(tokens), Decoder(deleted).hidden(tokens)));
}

TEST_CASE("contextual sparsity keeps each token's own neurons", "[baselines][unit]") {
  ModelWeights weights = tiny_model({}, 2);
  weights.blocks[0].down = torch::zeros({16, 48});
  weights.blocks[0].down[0][3] = 2;  // norms 2, 1 and 10 of three columns, none of the others
  weights.blocks[0].down[5][7] = 1;
  weights.blocks[0].down[2][9] = 10;
  torch::Tensor h = torch::zeros({1, 2, 48});
  h[0][0][3] = -3, h[0][0][7] = 5, h[0][0][9] = 0.1;  // weights 6, 5, 1
  h[0][1][3] = 1, h[0][1][7] = 4, h[0][1][9] = -0.5;  // weights 2, 4, 5
  const torch::Tensor kept = contextual_tap(weights, 2)(0, UnitKind::kNeuron, h);
  CHECK(kept[0][0][3].item<float>() == -3);
  CHECK(kept[0][0][7].item<float>() == 5);
  CHECK(kept[0][0][9].item<float>() == 0);
  CHECK(kept[0][1][3].item<float>() == 0);
  CHECK(kept[0][1][9].item<float>() == -0.5F);
  const torch::Tensor groups = torch::ones({1, 2, 16});
  CHECK(torch::equal(contextual_tap(weights, 2)(0, UnitKind::kGroup, groups), groups));
}
