#include "profile/ablation.h"

#include "base/error.h"
#include "profile/check.h"
#include "rows.h"
#include "support/tiny_model.h"

#undef CHECK
#include <catch2/catch.hpp>

using namespace elastify;
using namespace elastify_test;

namespace {

double mean_loss(const ModelWeights& weights, const TokenRows& rows) {
  const torch::NoGradGuard no_grad;
  return summed_loss(Decoder(weights).logits(rows.inputs), rows.targets).item<double>() /
         static_cast<double>(count_predictions(rows));
}

// The model with the unit's columns of o_proj or down_proj set to zero.
ModelWeights zeroed(const ModelWeights& weights, UnitRef unit) {
  ModelWeights changed = weights;
  BlockWeights& block = changed.blocks[static_cast<std::size_t>(unit.layer)];
  torch::Tensor& matrix = unit.kind == UnitKind::kGroup ? block.o : block.down;
  const std::int64_t width = unit.kind == UnitKind::kGroup ? weights.config.group_width() : 1;
  matrix = matrix.clone();
  matrix.narrow(1, unit.index * width, width).zero_();
  return changed;
}

}  // namespace

TEST_CASE("ablation equals the model with the unit's weights zeroed", "[profile][unit]") {
  TinyShape shape;
  shape.layers = 3;
  const ModelWeights weights = tiny_model(shape, 5, torch::kFloat64);
  const Decoder decoder(weights);
  const TokenRows rows = self_rows(decoder, 3, 10, 6);
  // All units at once: several chunks a layer, and the results must land in the callers' order.
  std::vector<UnitRef> units = all_units(decoder.config());
  std::reverse(units.begin(), units.end());
  const AblationResult result = ablate_units(decoder, rows, units);
  const double base = mean_loss(weights, rows);
  CHECK(result.base_loss == Approx(base).epsilon(1e-12));
  CHECK(result.tokens == 27);
  for (std::size_t i = 0; i < units.size(); i += 5) {
    CHECK(result.loss_change[i] == Approx(mean_loss(zeroed(weights, units[i]), rows) - base).margin(1e-12));
  }
}

TEST_CASE("many units in several forward passes equal one unit at a time", "[profile][unit]") {
  TinyShape shape;
  shape.positions = 512, shape.layers = 2;
  const Decoder decoder(tiny_model(shape, 5, torch::kFloat64));
  const TokenRows rows = self_rows(decoder, 1, 512, 6);  // 8 units a forward pass
  const std::vector<UnitRef> units = all_units(decoder.config());
  const AblationResult together = ablate_units(decoder, rows, units);
  for (const std::size_t i : {std::size_t{0}, std::size_t{9}, std::size_t{60}, units.size() - 1}) {
    CHECK(together.loss_change[i] == Approx(ablate_units(decoder, rows, {units[i]}).loss_change[0]).margin(1e-12));
  }
}

TEST_CASE("an ablation that is killed and resumed gives the same bits", "[profile][unit]") {
  const Decoder decoder(tiny_model({}, 5));
  const TokenRows rows = self_rows(decoder, 5, 10, 6);
  const std::vector<UnitRef> units = {{0, UnitKind::kGroup, 1}, {1, UnitKind::kNeuron, 7}};
  const AblationResult whole = ablate_units(decoder, rows, units);
  const fs::path path = fs::temp_directory_path() / "elastify_ablation_resume.safetensors";
  fs::remove(path);
  struct Killed {};
  ResumePoint point{path, "key", 0, [](std::int64_t steps) {
                      if (steps == 2) throw Killed();
                    }};
  CHECK_THROWS_AS(ablate_units(decoder, rows, units, point), Killed);
  int saves = 0;
  point.after_save = [&](std::int64_t) { ++saves; };
  const AblationResult resumed = ablate_units(decoder, rows, units, point);
  CHECK(saves == 3);
  CHECK(resumed.loss_change == whole.loss_change);
  CHECK(resumed.base_loss == whole.base_loss);
  fs::remove(path);
}

TEST_CASE("units that the model does not have are refused", "[profile][unit]") {
  const Decoder decoder(tiny_model());
  const TokenRows rows = self_rows(decoder, 1, 4, 1);
  CHECK_THROWS_AS(ablate_units(decoder, rows, {{0, UnitKind::kGroup, 2}}), Error);
  CHECK_THROWS_AS(ablate_units(decoder, rows, {{2, UnitKind::kNeuron, 0}}), Error);
}

TEST_CASE("the check covers every layer and shrinks with its budget", "[profile][unit]") {
  ModelConfig model = tiny_config({});
  ProfileConfig config;
  config.check_units = 16;
  CHECK(units_to_check(model, config).size() == 2 * 2 + 2 * 16);
  config.check_units = 1000;
  CHECK(units_to_check(model, config).size() == all_units(model).size());
  config.check_units = 0;
  CHECK(units_to_check(model, config).empty());
  config.check_units = 48;
  config.check_tflop = 0.5e-12 * ablation_flop(model, 2 * 48 + 4, config.check_tokens);
  CHECK(units_to_check(model, config).size() == 2 * 24 + 2);
  config.check_tflop = 0;
  CHECK(units_to_check(model, config).empty());
}
