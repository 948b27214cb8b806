// Greedy removal against brute force: every candidate before every cut, by whole forward passes of sliced models.
#include "reorder/removal.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reorder/cached_loss.h"
#include "reorder/measured_plan.h"
#include "support/tiny_model.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include "support/expect_error.h"
#include "support/temp_dir.h"

using namespace elastify;
using namespace elastify_test;

namespace {

TinyShape four_layers() {
  TinyShape shape;
  shape.layers = 4;
  shape.neurons = 32;
  return shape;
}

// What the model itself would write, so that removing units costs something; the first two tokens are given.
TokenRows own_text(const ModelWeights& weights, std::int64_t rows, std::int64_t seq) {
  torch::NoGradGuard no_grad;
  const Decoder decoder(weights);
  torch::Tensor tokens = torch::stack({torch::arange(rows) % 32, torch::arange(rows) / 32}, 1).to(torch::kInt64);
  while (tokens.size(1) <= seq) {
    const torch::Tensor last = decoder.logits(tokens).select(1, -1);
    tokens = torch::cat({tokens, last.argmax(-1, true)}, 1);
  }
  TokenRows text{tokens.narrow(1, 0, seq).contiguous(), tokens.narrow(1, 1, seq).contiguous()};
  text.targets.select(1, 0).fill_(kIgnore);
  return text;
}

double whole_loss(const ModelWeights& weights, const LevelWidths& widths, const TokenRows& rows) {
  torch::NoGradGuard no_grad;
  const Decoder sliced(slice_weights(weights, widths));
  return summed_loss(sliced.logits(rows.inputs), rows.targets).item<double>() /
         (rows.targets != kIgnore).sum().item<double>();
}

RemovalRule rule_of(std::vector<std::int64_t> levels) {
  RemovalRule rule;
  rule.levels = std::move(levels);
  rule.neuron_block = rule.neuron_multiple = 8;
  return rule;
}

// The rule as a person would write it down, sharing nothing with the search but what it measures.
std::vector<LevelWidths> brute_force(const ModelWeights& weights, const TokenRows& rows, const RemovalRule& rule) {
  const ModelConfig& config = weights.config;
  LevelWidths now = full_widths(config);
  std::vector<LevelWidths> taken;
  double loss = whole_loss(weights, now, rows);
  const double step =
      static_cast<double>(std::max(config.weights_per_group(), rule.neuron_block * config.weights_per_neuron())) /
      static_cast<double>(config.num_layers * config.weights_per_block());
  const auto kept = [&](const LevelWidths& widths) { return block_ratio(config, widths); };
  for (auto level = rule.levels.rbegin(); level != rule.levels.rend(); ++level) {
    const double target = static_cast<double>(*level) / 100;
    while (true) {
      LevelWidths best;
      double best_price = std::numeric_limits<double>::infinity(), best_loss = 0;
      for (std::size_t layer = 0; layer < now.neurons.size(); ++layer) {
        std::vector<LevelWidths> tries(5, now);
        tries[0].kv_groups[layer] -= 1;
        tries[1].neurons[layer] -= rule.neuron_block;
        tries[2].kv_groups[layer] = 0;
        tries[3].neurons[layer] = 0;
        tries[4].kv_groups[layer] = tries[4].neurons[layer] = 0;
        for (const LevelWidths& attempt : tries) {
          if (attempt.kv_groups[layer] < 0 || attempt.neurons[layer] < 0 || attempt == now) continue;
          if (std::abs(kept(attempt) - target) >= std::abs(kept(now) - target)) continue;
          if (kept(attempt) < target - step / 2) continue;
          const double after = whole_loss(weights, attempt, rows);
          const double price = (after - loss) / (kept(now) - kept(attempt));
          if (price < best_price - 1e-9) best = attempt, best_price = price, best_loss = after;
        }
      }
      if (!std::isfinite(best_price)) break;
      taken.push_back(now = best);
      loss = best_loss;
    }
  }
  return taken;
}

// The widths after each cut.
std::vector<LevelWidths> widths_of(const Removal& removal, const ModelConfig& config) {
  LevelWidths now = full_widths(config);
  std::vector<LevelWidths> all;
  for (const Cut& cut : removal.cuts) {
    now.kv_groups[static_cast<std::size_t>(cut.layer)] = cut.kv_groups;
    now.neurons[static_cast<std::size_t>(cut.layer)] = cut.neurons;
    all.push_back(now);
  }
  return all;
}

MeasuredConfig small_config() {
  MeasuredConfig config;
  config.tokens = 60;
  config.batch_rows = 2;
  config.neuron_block = 8;
  return config;
}

}  // namespace

TEST_CASE("cached losses are those of whole passes through sliced models", "[reorder][unit]") {
  TinyShape shape = four_layers();
  shape.qkv_bias = shape.qk_norm = true;
  const ModelWeights weights = tiny_model(shape, 6, torch::kFloat64);
  const TokenRows rows = own_text(weights, 5, 12);
  CachedLoss meter(weights, rows, 2, ProductType::kFloat32);
  REQUIRE(meter.tokens() == 5 * 11);
  LevelWidths widths = full_widths(weights.config);
  CHECK(meter.loss() == Approx(whole_loss(weights, widths, rows)).epsilon(1e-12));
  const std::vector<std::array<std::int64_t, 3>> changes = {{3, 1, 32}, {0, 2, 16}, {2, 0, 32}, {1, 2, 0}, {2, 0, 8}};
  for (const auto& [layer, groups, neurons] : changes) {
    LevelWidths changed = widths;
    changed.kv_groups[static_cast<std::size_t>(layer)] = groups;
    changed.neurons[static_cast<std::size_t>(layer)] = neurons;
    CHECK(meter.loss_with(layer, groups, neurons) == Approx(whole_loss(weights, changed, rows)).epsilon(1e-12));
    CHECK(meter.loss() == Approx(whole_loss(weights, widths, rows)).epsilon(1e-12));  // measuring takes nothing
    meter.take(layer, groups, neurons);
    widths = changed;
  }
  CHECK(meter.loss() == Approx(whole_loss(weights, widths, rows)).epsilon(1e-12));
}

TEST_CASE("divergence is nothing for the full model and that of whole distributions for others", "[reorder][unit]") {
  torch::NoGradGuard no_grad;
  const ModelWeights weights = tiny_model(four_layers(), 6, torch::kFloat64);
  TokenRows rows = own_text(weights, 5, 12);
  rows.targets.select(0, 0).fill_(kIgnore);  // a whole row counts for nothing
  CachedLoss meter(weights, rows, 2, ProductType::kFloat32, Measure::kDivergence);
  CHECK(std::abs(meter.loss()) < 1e-12);
  LevelWidths widths = full_widths(weights.config);
  widths.kv_groups[1] = 0;
  const auto logs = [&](const ModelWeights& model) {
    return torch::log_softmax(Decoder(model).logits(rows.inputs), -1);
  };
  const torch::Tensor full = logs(weights), cut = logs(slice_weights(weights, widths));
  const torch::Tensor counts = rows.targets != kIgnore;
  const double expected =
      ((full.exp() * (full - cut)).sum(-1) * counts).sum().item<double>() / counts.sum().item<double>();
  CHECK(meter.loss_with(1, 0, 32) == Approx(expected).epsilon(1e-10));
}

TEST_CASE("bfloat16 products stay near the float32 loss", "[reorder][unit]") {
  TinyShape shape = four_layers();
  shape.qkv_bias = true;  // biased projections stay float32
  const ModelWeights weights = tiny_model(shape, 6);
  const TokenRows rows = own_text(weights, 5, 12);
  CachedLoss half(weights, rows, 2, ProductType::kBfloat16), single(weights, rows, 2, ProductType::kFloat32);
  CHECK(half.loss() == Approx(single.loss()).epsilon(0.02));
  CHECK(half.loss_with(1, 0, 16) == Approx(single.loss_with(1, 0, 16)).epsilon(0.02));
}

TEST_CASE("greedy removal takes brute force's cuts", "[reorder][unit]") {
  for (const std::uint64_t seed : {3u, 4u, 5u}) {
    const ModelWeights weights = tiny_model(four_layers(), seed, torch::kFloat64);
    const TokenRows rows = own_text(weights, 6, 12);
    RemovalRule rule = rule_of({30, 60, 80, 100});
    rule.exact = true;
    CachedLoss meter(weights, rows, 4, ProductType::kFloat32);
    const Removal exact = remove_greedily(weights.config, rule, meter);
    CHECK((widths_of(exact, weights.config) == brute_force(weights, rows, rule)));
    CHECK(exact.cuts.back().loss == Approx(whole_loss(weights, exact.level_widths[0], rows)).epsilon(1e-12));
  }
}

TEST_CASE("lazy removal measures less and takes the same cuts where costs only grow", "[reorder][unit]") {
  // Costs of units add up here, and each is larger than that of the unit before it: what lazy removal relies on.
  struct Additive : LossMeter {
    LevelWidths widths;
    double cost(std::int64_t layer, std::int64_t groups, std::int64_t neurons) const {
      const double groups_gone = 2 - static_cast<double>(groups), blocks_gone = 4 - static_cast<double>(neurons) / 8;
      const double weight = 1 + static_cast<double>(layer * 7 % 4);
      return weight * (0.3 * std::pow(groups_gone, 1.7) + 0.11 * std::pow(blocks_gone, 1.9));
    }
    double loss() override {
      double sum = 0;
      for (std::size_t layer = 0; layer < widths.neurons.size(); ++layer)
        sum += cost(static_cast<std::int64_t>(layer), widths.kv_groups[layer], widths.neurons[layer]);
      return sum;
    }
    double loss_with(std::int64_t layer, std::int64_t groups, std::int64_t neurons) override {
      Additive changed = *this;
      changed.take(layer, groups, neurons);
      return changed.loss();
    }
    void take(std::int64_t layer, std::int64_t groups, std::int64_t neurons) override {
      widths.kv_groups[static_cast<std::size_t>(layer)] = groups;
      widths.neurons[static_cast<std::size_t>(layer)] = neurons;
    }
  };
  const ModelConfig config = tiny_config(four_layers());
  RemovalRule rule = rule_of({30, 50, 80, 100});
  std::vector<Removal> found;
  for (const bool exact : {false, true}) {
    Additive meter;
    meter.widths = full_widths(config);
    rule.exact = exact;
    found.push_back(remove_greedily(config, rule, meter));
  }
  CHECK((widths_of(found[0], config) == widths_of(found[1], config)));
  CHECK((found[0].level_widths == found[1].level_widths));
  CHECK(found[0].evaluations < found[1].evaluations);
}

TEST_CASE("where a half costs something whatever its width, whole halves leave", "[reorder][unit]") {
  // Every unit costs the same loss: by weights alone equal prices take the kind that stands first, single groups.
  struct Even : LossMeter {
    LevelWidths widths;
    double loss() override {
      double gone = 0;
      for (const auto groups : widths.kv_groups) gone += 2 - static_cast<double>(groups);
      for (const auto neurons : widths.neurons) gone += 4 - static_cast<double>(neurons) / 8;
      return gone;
    }
    double loss_with(std::int64_t layer, std::int64_t groups, std::int64_t neurons) override {
      Even changed = *this;
      changed.take(layer, groups, neurons);
      return changed.loss();
    }
    void take(std::int64_t layer, std::int64_t groups, std::int64_t neurons) override {
      widths.kv_groups[static_cast<std::size_t>(layer)] = groups;
      widths.neurons[static_cast<std::size_t>(layer)] = neurons;
    }
  };
  const ModelConfig config = tiny_config(four_layers());
  const auto halves_left = [&](double per_half) {
    Even meter;
    meter.widths = full_widths(config);
    RemovalRule rule = rule_of({50, 100});
    rule.per_half = per_half;
    const LevelWidths found = remove_greedily(config, rule, meter).level_widths[0];
    return std::count_if(found.kv_groups.begin(), found.kv_groups.end(), [](auto n) { return n > 0; }) +
           std::count_if(found.neurons.begin(), found.neurons.end(), [](auto n) { return n > 0; });
  };
  const double half = static_cast<double>(config.weights_per_block()) / 2;
  CHECK(halves_left(half) < halves_left(0));
  CHECK(halves_left(half) <= 5);  // of eight, at half of the weights
}

TEST_CASE("measured plans nest, hit their ratios and survive a file", "[reorder][unit]") {
  const ModelWeights weights = tiny_model(four_layers(), 9);
  const TokenRows rows = own_text(weights, 6, 12);
  for (const char* per : {"weights", "latency"}) {
    MeasuredConfig config = small_config();
    config.per = per;
    const RemovalRule rule = removal_rule(weights.config, config, {20, 40, 60, 80, 100}, 8, 2);
    const MeasuredPlan measured = measure_plan(weights, rows, config, rule, ProductType::kFloat32);
    const TempDir dir;
    save_plan(dir / "plan.json", measured.plan);
    const ElasticPlan loaded = load_plan(dir / "plan.json", weights.config);  // checks the nesting
    for (std::size_t i = 0; i < loaded.levels.size(); ++i) {
      CHECK((loaded.levels[i].widths == measured.removal.level_widths[i]));
      CHECK(std::abs(loaded.levels[i].block_ratio - static_cast<double>(loaded.levels[i].level) / 100) < 0.05);
    }
    const auto trace = measured_plan_to_json(measured, weights.config, config, rule);
    CHECK(trace.at("cuts").size() == measured.removal.cuts.size());
    CHECK(trace.at("levels")[4].at("cuts") == 0);
    CHECK(trace.at("levels")[0].at("loss") == trace.at("cuts").back().at("loss"));
  }
}

TEST_CASE("a search that was killed anywhere goes on to the same plan without measuring twice", "[reorder][unit]") {
  const ModelWeights weights = tiny_model(four_layers(), 9);
  const TokenRows rows = own_text(weights, 6, 12);
  const MeasuredConfig config = small_config();
  const RemovalRule rule = removal_rule(weights.config, config, {30, 60, 100}, 8, 2);
  const auto cuts = [&](const MeasuredProgress& progress) {
    const MeasuredPlan plan = measure_plan(weights, rows, config, rule, ProductType::kFloat32, progress);
    return measured_plan_to_json(plan, weights.config, config, rule);
  };
  const nlohmann::json expected = cuts({});
  for (const std::int64_t stop : {1, 7, 20}) {
    const TempDir dir;
    MeasuredProgress progress{dir / "losses.safetensors", "inputs", 0, {}};
    progress.after_save = [&](std::int64_t losses) {
      if (losses == stop) throw std::runtime_error("killed");
    };
    REQUIRE_THROWS_AS(cuts(progress), std::runtime_error);
    std::int64_t saves = 0;
    progress.after_save = [&](std::int64_t losses) {
      CHECK(losses > stop);
      ++saves;
    };
    CHECK(cuts(progress) == expected);
    CHECK(saves == expected.at("evaluations").get<std::int64_t>() - stop);
    std::int64_t first = 0;  // losses of other inputs are of no use
    progress.key = "other inputs";
    progress.after_save = [&](std::int64_t losses) { first = first == 0 ? losses : first; };
    CHECK(cuts(progress) == expected);
    CHECK(first == 1);
  }
}

TEST_CASE("text that is too short and levels that cannot be met are refused", "[reorder][unit]") {
  const ModelWeights weights = tiny_model(four_layers(), 9);
  const TokenRows rows = own_text(weights, 6, 12);
  MeasuredConfig config = small_config();
  const auto plan = [&](std::vector<std::int64_t> levels) {
    const RemovalRule rule = removal_rule(weights.config, config, levels, 8, 2);
    return measure_plan(weights, rows, config, rule, ProductType::kFloat32);
  };
  expect_error(ErrorCode::kUsage, {"levels 99 and 100", "reorder.levels", "neuron_block"}, [&] {
    plan({98, 99, 100});
  });
  expect_error(ErrorCode::kUsage, {"reorder.levels", "end in 100"}, [&] { plan({50, 40}); });
  config.neuron_block = 32;
  TinyShape coarse;
  coarse.layers = 1, coarse.kv_heads = 1;
  const ModelWeights one = tiny_model(coarse, 2);
  const RemovalRule rule = removal_rule(one.config, config, {30, 100}, 48, 2);
  expect_error(ErrorCode::kUsage, {"level 30 cannot be met", "% at best"},
               [&] { measure_plan(one, rows, config, rule, ProductType::kFloat32); });
  config.tokens = 1000;
  expect_error(ErrorCode::kBadData, {"1000 calibration tokens", "the text has 72", "data.calibration"}, [&] {
    plan({50, 100});
  });
}
