// Scores of units against loops in float64 that share no code with them.
#include <cmath>

#include "baselines/flap.h"
#include "baselines/method.h"
#include "baselines/weight_taylor.h"
#include "support/tiny_model.h"

#undef CHECK  // of LibTorch's logging; Catch2 has its own
#include "support/expect_error.h"

using namespace elastify;
using namespace elastify_test;

namespace {

TokenRows random_rows(std::int64_t rows, std::int64_t seq, std::int64_t vocab) {
  torch::manual_seed(5);
  const torch::Tensor stream = torch::randint(vocab, {rows, seq + 1}, torch::kInt64);
  return {stream.narrow(1, 0, seq).contiguous(), stream.narrow(1, 1, seq).contiguous()};
}

double mean_loss_of(const ModelWeights& weights, const TokenRows& rows) {
  const torch::NoGradGuard no_grad;
  return summed_loss(Decoder(weights).logits(rows.inputs), rows.targets).item<double>() /
         static_cast<double>(rows.targets.numel());
}

// |w dL/dw| by central differences.
double weight_change(ModelWeights weights, const TokenRows& rows, torch::Tensor BlockWeights::*field, std::int64_t row,
                     std::int64_t column) {
  const double step = 1e-5;
  torch::Tensor& tensor = weights.blocks[1].*field;
  const torch::Tensor original = tensor;
  double losses[2];
  for (const int side : {0, 1}) {
    tensor = original.clone();
    tensor[row][column] += side == 0 ? -step : step;
    losses[side] = mean_loss_of(weights, rows);
  }
  return std::abs(original[row][column].item<double>() * (losses[1] - losses[0]) / (2 * step));
}

// The inputs of o_proj and down_proj of one layer, [positions, inputs].
torch::Tensor inputs_of(const Decoder& decoder, const TokenRows& rows, std::int64_t layer, UnitKind kind) {
  torch::Tensor found;
  ForwardOptions options;
  options.tap = [&](std::int64_t at, UnitKind of, torch::Tensor activations) {
    if (at == layer && of == kind) found = activations.flatten(0, 1).to(torch::kFloat64);
    return activations;
  };
  decoder.hidden(rows.inputs, options);
  return found;
}

// FLAP's metric of one layer by plain loops: Var(x_j) |W_:j|^2.
std::vector<double> flap_metric(const torch::Tensor& x, const torch::Tensor& weight) {
  std::vector<double> metric;
  const torch::Tensor w = weight.to(torch::kFloat64);
  for (std::int64_t j = 0; j < x.size(1); ++j) {
    double mean = 0, spread = 0, norm = 0;
    for (std::int64_t t = 0; t < x.size(0); ++t) mean += x[t][j].item<double>() / static_cast<double>(x.size(0));
    for (std::int64_t t = 0; t < x.size(0); ++t) spread += std::pow(x[t][j].item<double>() - mean, 2);
    for (std::int64_t i = 0; i < w.size(0); ++i) norm += std::pow(w[i][j].item<double>(), 2);
    metric.push_back(spread / static_cast<double>(x.size(0) - 1) * norm);
  }
  return metric;
}

std::vector<double> z_scores(const std::vector<double>& values) {
  double mean = 0, spread = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) spread += std::pow(value - mean, 2);
  std::vector<double> scores;
  for (const double value : values)
    scores.push_back((value - mean) / std::sqrt(spread / static_cast<double>(values.size() - 1)));
  return scores;
}

}  // namespace

TEST_CASE("LLM-Pruner's score is the sum of |w dL/dw| over all weights of a unit", "[baselines][unit]") {
  const TinyShape shape{11, 8, 6, 2, 4, 2, 2, 16};
  const ModelWeights weights = tiny_model(shape, 3, torch::kFloat64);
  const TokenRows rows = random_rows(2, 5, shape.vocab);
  const UnitScores scores = weight_taylor_scores(Decoder(weights), rows);
  double neuron = 0, group = 0;
  for (std::int64_t i = 0; i < shape.hidden; ++i) {
    neuron += weight_change(weights, rows, &BlockWeights::gate, 4, i);
    neuron += weight_change(weights, rows, &BlockWeights::up, 4, i);
    neuron += weight_change(weights, rows, &BlockWeights::down, i, 4);
    for (std::int64_t row = 0; row < 2; ++row) {  // group 1 of width 2 for keys, 4 for queries
      group += weight_change(weights, rows, &BlockWeights::k, 2 + row, i);
      group += weight_change(weights, rows, &BlockWeights::v, 2 + row, i);
    }
    for (std::int64_t row = 0; row < 4; ++row) {
      group += weight_change(weights, rows, &BlockWeights::q, 4 + row, i);
      group += weight_change(weights, rows, &BlockWeights::o, i, 4 + row);
    }
  }
  CHECK(scores.neurons[1][4].item<double>() == Approx(neuron).epsilon(1e-5));
  CHECK(scores.groups[1][1].item<double>() == Approx(group).epsilon(1e-5));
}

TEST_CASE("LLM-Pruner leaves layers 0 to 3, 30 and 31 of 32 whole, and others in proportion", "[baselines][unit]") {
  CHECK(llm_pruner_whole_layers(32) == std::vector<std::int64_t>{0, 1, 2, 3, 30, 31});
  CHECK(llm_pruner_whole_layers(16) == std::vector<std::int64_t>{0, 1, 15});
}

TEST_CASE("FLAP's scores are standardised fluctuations, squared for attention", "[baselines][unit]") {
  const TinyShape shape{11, 8, 6, 2, 4, 2, 2, 16};
  const ModelWeights weights = tiny_model(shape, 3, torch::kFloat64);
  const Decoder decoder(weights);
  const TokenRows rows = random_rows(3, 7, shape.vocab);
  const UnitScores scores = flap_scores(weights, activation_stats(decoder, rows));
  for (const std::int64_t layer : {0, 1}) {
    const BlockWeights& block = weights.blocks[static_cast<std::size_t>(layer)];
    const auto neurons = z_scores(flap_metric(inputs_of(decoder, rows, layer, UnitKind::kNeuron), block.down));
    for (std::size_t j = 0; j < neurons.size(); ++j)
      CHECK(scores.neurons[layer][static_cast<std::int64_t>(j)].item<double>() == Approx(neurons[j]).epsilon(1e-9));
    auto heads = flap_metric(inputs_of(decoder, rows, layer, UnitKind::kGroup), block.o);
    for (double& value : heads) value *= value;
    heads = z_scores(heads);
    for (std::int64_t group = 0; group < 2; ++group) {
      const auto first = static_cast<std::size_t>(4 * group);
      const double mean = (heads[first] + heads[first + 1] + heads[first + 2] + heads[first + 3]) / 4;
      CHECK(scores.groups[layer][group].item<double>() == Approx(mean).epsilon(1e-9));
    }
  }
}

TEST_CASE("FLAP's bias is what the removed inputs give on average", "[baselines][unit]") {
  const TinyShape shape{11, 8, 6, 2, 4, 2, 2, 16};
  const ModelWeights weights = tiny_model(shape, 3, torch::kFloat64);
  const Decoder decoder(weights);
  const TokenRows rows = random_rows(3, 7, shape.vocab);
  const ActivationStats stats = activation_stats(decoder, rows);
  const UnitScores scores = flap_scores(weights, stats);
  const UnitOrder order = order_by_importance(scores.groups, scores.neurons);
  ModelWeights moved = reordered_weights(weights, order);
  add_flap_bias_inplace(moved, stats, order, {{1, 2}, {4, 2}});
  // Layer 0 loses the second group and two neurons, in the original order these:
  const std::int64_t group = order.groups[0].order()[1];
  const torch::Tensor mixed = inputs_of(decoder, rows, 0, UnitKind::kGroup).mean(0);
  const torch::Tensor expected = weights.blocks[0].o.narrow(1, 4 * group, 4).mv(mixed.narrow(0, 4 * group, 4));
  CHECK(torch::allclose(moved.blocks[0].o_bias, expected, 1e-9, 1e-12));
  CHECK(moved.blocks[1].o_bias.abs().max().item<double>() == 0);  // nothing removed there
}

TEST_CASE("one threshold for the whole model, as near to the level as multiples allow", "[baselines][unit]") {
  const ModelConfig config = tiny_config({});  // 2 layers of 2 groups and 48 neurons
  UnitScores scores{torch::tensor({{5.0, 4.0}, {-2.0, -3.0}}, torch::kFloat64), torch::zeros({2, 48}, torch::kFloat64)};
  scores.neurons[0] = torch::linspace(3, 1, 48, torch::kFloat64);
  scores.neurons[1] = torch::linspace(-1, -2, 48, torch::kFloat64);
  const LevelWidths widths = threshold_widths(config, scores, 60, 8);
  CHECK(widths.kv_groups == std::vector<std::int64_t>{2, 1});  // every layer keeps a group
  CHECK(widths.neurons[0] == 48);
  CHECK(widths.neurons[1] % 8 == 0);
  CHECK(block_ratio(config, widths) == Approx(0.6).margin(0.5 * 8 * 48.0 / (2 * config.weights_per_block()) + 1e-9));
  CHECK(threshold_widths(config, scores, 100, 8) == full_widths(config));
}

TEST_CASE("an unknown method is refused with the list of those there are", "[baselines][unit]") {
  expect_error(ErrorCode::kUsage, {"--methods", "wanda", "llm-pruner", "scratch"}, [] {
    find_methods({"flap", "wanda"});
  });
  REQUIRE(find_methods({"flap", "ours"}).size() == 2);
  CHECK(std::string(find_methods({"flap", "ours"})[0]->name) == "ours");
  CHECK(find_methods({}).size() == method_table().size());
}
