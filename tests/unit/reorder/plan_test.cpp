// Plans: hand-worked counts, ratios, nesting, infeasible levels.
#include "reorder/make_plan.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;

ModelConfig shape(std::int64_t layers, std::int64_t hidden, std::int64_t heads, std::int64_t kv_heads,
                  std::int64_t neurons) {
  ModelConfig config;
  config.vocab_size = 512;
  config.hidden_size = hidden;
  config.intermediate_size = neurons;
  config.num_layers = layers;
  config.num_heads = heads;
  config.num_kv_heads = kv_heads;
  config.head_dim = hidden / heads;
  config.max_positions = 512;
  config.tied_embeddings = true;
  return config;
}

// Falling along each row, as reordered scores are; `seed` 0 gives every layer the same.
SortedScores falling_scores(const ModelConfig& c, std::uint64_t seed) {
  torch::manual_seed(seed);
  const auto sorted = [](const torch::Tensor& scores) { return std::get<0>(scores.sort(1, true)); };
  return {sorted(torch::rand({c.num_layers, c.num_kv_heads}, torch::kFloat64)),
          sorted(torch::rand({c.num_layers, c.intermediate_size}, torch::kFloat64))};
}

void require_nested(const ElasticPlan& plan) {
  for (std::size_t i = 1; i < plan.levels.size(); ++i) {
    for (std::size_t layer = 0; layer < plan.levels[i].widths.neurons.size(); ++layer) {
      REQUIRE(plan.levels[i - 1].widths.neurons[layer] <= plan.levels[i].widths.neurons[layer]);
      REQUIRE(plan.levels[i - 1].widths.kv_groups[layer] <= plan.levels[i].widths.kv_groups[layer]);
    }
  }
}

}  // namespace

TEST_CASE("ratios count weights as a person would", "[reorder][unit]") {
  // hidden 64, 8 heads in 4 groups of 2, head 8: a group holds 16 q rows, 8 k, 8 v rows and 16 o columns, 48 * 64
  // weights.
  const ModelConfig config = shape(5, 64, 8, 4, 172);
  REQUIRE(config.weights_per_group() == 48 * 64);
  REQUIRE(config.weights_per_neuron() == 3 * 64);
  REQUIRE(config.weights_per_block() == 4 * 48 * 64 + 172 * 3 * 64 + 2 * 64);
  LevelWidths half = full_widths(config);
  half.kv_groups[2] = 1;
  half.neurons[4] = 100;
  const double all = 5.0 * (12288 + 33024 + 128), kept = all - 3 * 3072 - 72 * 192;
  REQUIRE(block_ratio(config, half) == Approx(kept / all).epsilon(1e-12));
  REQUIRE(total_ratio(config, half) == Approx((kept + 512 * 64 + 64) / (all + 512 * 64 + 64)).epsilon(1e-12));
}

TEST_CASE("neuron counts are multiples, or the whole width", "[reorder][unit]") {
  for (const char* kind : {"even", "global"}) {
    const ModelConfig config = shape(5, 64, 8, 4, 172);
    PlanConfig settings;
    settings.kind = kind;
    const ElasticPlan plan = make_plan(config, {0}, falling_scores(config, 3), settings);
    for (const auto& level : plan.levels) {
      for (const auto count : level.widths.neurons) REQUIRE((count % 32 == 0 || count == 172));
      REQUIRE(std::abs(level.block_ratio - static_cast<double>(level.level) / 100) < 0.06);
      REQUIRE(level.block_ratio == block_ratio(config, level.widths));
    }
    REQUIRE(plan.levels.back().widths == full_widths(config));
    require_nested(plan);
  }
}

TEST_CASE("plans of many shapes nest and hit their ratios", "[reorder][unit]") {
  const std::vector<ModelConfig> shapes = {shape(2, 128, 8, 4, 384), shape(12, 96, 6, 6, 256), shape(9, 64, 8, 1, 100),
                                           shape(32, 64, 16, 2, 20)};
  for (const auto& config : shapes) {
    for (const char* kind : {"even", "global"}) {
      for (std::uint64_t seed = 0; seed < 3; ++seed) {
        PlanConfig settings;
        settings.kind = kind;
        settings.neuron_multiple = 8;
        const ElasticPlan plan = make_plan(config, {1}, falling_scores(config, seed), settings);
        require_nested(plan);
        // Half of the largest step is the most by which a target can be missed, once everything has its minimum.
        const double step = static_cast<double>(std::max(config.weights_per_group(), 8 * config.weights_per_neuron())) /
                            static_cast<double>(config.num_layers * config.weights_per_block());
        for (const auto& level : plan.levels) {
          const bool minimal = std::all_of(level.widths.kv_groups.begin(), level.widths.kv_groups.end(),
                                           [](auto count) { return count == 1; });
          if (!minimal) REQUIRE(std::abs(level.block_ratio - static_cast<double>(level.level) / 100) <= step);
        }
      }
    }
  }
}

TEST_CASE("even gives every layer that is no anchor the same ratio", "[reorder][unit]") {
  const ModelConfig config = shape(10, 64, 8, 8, 256);
  PlanConfig settings;
  settings.levels = {50, 100};
  const ElasticPlan plan = make_plan(config, {3, 7}, falling_scores(config, 1), settings);
  const LevelWidths& half = plan.at(50).widths;
  for (const std::size_t anchor : {3u, 7u}) {
    REQUIRE(half.kv_groups[anchor] == 8);
    REQUIRE(half.neurons[anchor] == 256);
  }
  // Two of ten layers are whole, so the others keep 3/8: 3 of 8 groups and 96 of 256 neurons.
  for (std::size_t layer = 0; layer < 10; ++layer) {
    if (layer == 3 || layer == 7) continue;
    REQUIRE(std::abs(half.kv_groups[layer] - 3) <= 1);
    REQUIRE(std::abs(half.neurons[layer] - 96) <= 32);
  }
}

TEST_CASE("global keeps the units with the most importance per weight", "[reorder][unit]") {
  const ModelConfig config = shape(2, 64, 8, 8, 256);
  SortedScores scores{torch::full({2, 8}, 1e-3, torch::kFloat64), torch::full({2, 256}, 1e-3, torch::kFloat64)};
  scores.neurons[1] += 1;  // all that matters
  PlanConfig settings;
  settings.kind = "global";
  settings.levels = {50, 100};
  const LevelWidths half = make_plan(config, {}, scores, settings).at(50).widths;
  REQUIRE(half.neurons[1] == 256);
  REQUIRE(half.neurons[0] < 256);
}

TEST_CASE("anchors that are too heavy give way, or the tool refuses", "[reorder][unit]") {
  const ModelConfig config = shape(5, 64, 8, 4, 160);
  PlanConfig settings;
  const ElasticPlan plan = make_plan(config, {1, 4}, falling_scores(config, 2), settings);
  const LevelPlan& smallest = plan.at(20);
  REQUIRE(smallest.anchors_give_way);
  REQUIRE(smallest.widths.neurons[1] < 160);
  for (const std::size_t other : {0u, 2u, 3u}) {
    REQUIRE(smallest.widths.kv_groups[other] == 1);
    REQUIRE(smallest.widths.neurons[other] == 32);
  }
  REQUIRE_FALSE(plan.at(80).anchors_give_way);
  REQUIRE(plan.at(80).widths.neurons[1] == 160);
  require_nested(plan);
  settings.infeasible = "refuse";
  expect_error(ErrorCode::kUsage, {"level 20 is infeasible", "anchors.share"}, [&] {
    make_plan(config, {1, 4}, falling_scores(config, 2), settings);
  });
}

TEST_CASE("level lists must ascend to 100", "[reorder][unit]") {
  const ModelConfig config = shape(2, 64, 8, 4, 64);
  const auto refuse = [&](std::vector<std::int64_t> levels) {
    PlanConfig settings;
    settings.levels = std::move(levels);
    expect_error(ErrorCode::kUsage, {"reorder.levels"},
                 [&] { make_plan(config, {}, falling_scores(config, 1), settings); });
  };
  refuse({});
  refuse({50});
  refuse({50, 40, 100});
  refuse({50, 50, 100});
}

TEST_CASE("plan.json round-trips, and damaged plans are refused", "[reorder][unit]") {
  const elastify_test::TempDir dir;
  const ModelConfig config = shape(3, 64, 8, 4, 160);
  const ElasticPlan plan = make_plan(config, {2}, falling_scores(config, 5), PlanConfig{});
  save_plan(dir / "plan.json", plan);
  const ElasticPlan loaded = load_plan(dir / "plan.json", config);
  REQUIRE(loaded.anchors == plan.anchors);
  for (std::size_t i = 0; i < plan.levels.size(); ++i) REQUIRE(loaded.levels[i].widths == plan.levels[i].widths);

  auto emptied = read_json(dir / "plan.json");  // a level may keep nothing of a layer's half
  emptied["levels"][0]["kv_groups"][0] = emptied["levels"][0]["neurons"][1] = 0;
  write_json(dir / "emptied.json", emptied);
  const LevelPlan smallest = load_plan(dir / "emptied.json", config).levels[0];
  REQUIRE(smallest.widths.kv_groups[0] == 0);
  REQUIRE(smallest.block_ratio == block_ratio(config, smallest.widths));

  const auto refuse = [&](std::initializer_list<const char*> words, auto&& damage) {
    auto document = read_json(dir / "plan.json");
    damage(document);
    write_json(dir / "damaged.json", document);
    expect_error(ErrorCode::kBadData, words, [&] { load_plan(dir / "damaged.json", config); });
  };
  refuse({"not a plan"}, [](auto& d) { d.erase("levels"); });
  refuse({"neurons", "found"}, [](auto& d) { d["levels"][0]["neurons"][1] = 1000; });
  refuse({"kv_groups"}, [](auto& d) { d["levels"][0]["kv_groups"] = {1}; });
  refuse({"kv_groups", "[0, 4]"}, [](auto& d) { d["levels"][0]["kv_groups"][0] = -1; });
  refuse({"do not nest in layer 1"}, [](auto& d) {
    d["levels"][1]["neurons"][1] = 160;
    d["levels"][2]["neurons"][1] = 32;
  });
  refuse({"last level must be 100"}, [](auto& d) { d["levels"].erase(8); });
  refuse({"anchor layer 7"}, [](auto& d) { d["anchors"] = {7}; });
}
