#include "profile/anchor.h"

#include "base/error.h"
#include "rows.h"
#include "support/tiny_model.h"

#undef CHECK
#include <catch2/catch.hpp>

#include <cmath>

using namespace elastify;
using namespace elastify_test;

namespace {

// A random model whose layers write little into the residual, except for the planted ones.
ModelWeights planted_model(std::int64_t layers, const std::vector<std::int64_t>& important) {
  TinyShape shape;
  shape.layers = layers;
  ModelWeights weights = tiny_model(shape, 21);
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const bool planted = std::find(important.begin(), important.end(), layer) != important.end();
    BlockWeights& block = weights.blocks[static_cast<std::size_t>(layer)];
    block.o = block.o * (planted ? 2.0 : 0.1);
    block.down = block.down * (planted ? 2.0 : 0.1);
  }
  return weights;
}

AnchorsConfig with_count(std::int64_t count) {
  AnchorsConfig config;
  config.count = count;
  config.batch_rows = 2;
  return config;
}

}  // namespace

TEST_CASE("planted important layers are the anchors", "[profile][unit]") {
  const std::int64_t layers = GENERATE(8, 12, 17);
  const std::vector<std::int64_t> important = {0, 3, layers - 2};
  const Decoder decoder(planted_model(layers, important));
  const AnchorsResult result = find_anchors(decoder, self_rows(decoder, 8, 16, 2), with_count(3));
  CHECK(result.anchors == important);
  CHECK(result.power_law.layers >= 3);
}

TEST_CASE("the increase of a layer equals the loss of the model without its block", "[profile][unit]") {
  TinyShape shape;
  shape.layers = 3;
  const ModelWeights weights = tiny_model(shape, 4, torch::kFloat64);
  const Decoder decoder(weights);
  const TokenRows rows = self_rows(decoder, 5, 8, 2);  // the last batch is short
  const AnchorsResult result = find_anchors(decoder, rows, with_count(1));
  const torch::NoGradGuard no_grad;
  const auto mean_loss = [&](const ModelWeights& model) {
    return summed_loss(Decoder(model).logits(rows.inputs), rows.targets).item<double>() /
           static_cast<double>(result.tokens);
  };
  CHECK(result.base_loss == Approx(mean_loss(weights)).epsilon(1e-12));
  for (std::size_t layer = 0; layer < 3; ++layer) {
    ModelWeights without = weights;
    without.blocks.erase(without.blocks.begin() + static_cast<std::ptrdiff_t>(layer));
    CHECK(result.loss_increase[layer] == Approx(mean_loss(without) - result.base_loss).margin(1e-12));
  }
}

TEST_CASE("an increase has the standard error of its rows", "[profile][unit]") {
  TinyShape shape;
  shape.layers = 2;
  const ModelWeights weights = tiny_model(shape, 4, torch::kFloat64);
  const Decoder decoder(weights);
  TokenRows rows = self_rows(decoder, 5, 8, 2);
  rows.targets.index_put_({0, torch::indexing::Slice(0, 3)}, kIgnore);  // rows differ in how much they predict
  const AnchorsResult result = find_anchors(decoder, rows, with_count(1));
  REQUIRE(result.standard_error.size() == 2);
  const torch::NoGradGuard no_grad;
  for (std::size_t layer = 0; layer < 2; ++layer) {
    ModelWeights without = weights;
    without.blocks.erase(without.blocks.begin() + static_cast<std::ptrdiff_t>(layer));
    double residuals = 0;
    for (std::int64_t row = 0; row < 5; ++row) {
      const torch::Tensor input = rows.inputs.narrow(0, row, 1), target = rows.targets.narrow(0, row, 1);
      const double change =
          (summed_loss(Decoder(without).logits(input), target) - summed_loss(Decoder(weights).logits(input), target))
              .item<double>();
      const double predictions = static_cast<double>((target != kIgnore).sum().item<std::int64_t>());
      residuals += std::pow(change - result.loss_increase[layer] * predictions, 2);
    }
    const double expected = std::sqrt(residuals * 5 / 4) / static_cast<double>(result.tokens);
    CHECK(result.standard_error[layer] == Approx(expected).epsilon(1e-9));
  }
  const Plot plot = anchors_plot(result);
  REQUIRE(plot.series.size() == 2);
  for (const auto& series : plot.series) {
    REQUIRE(series.low.size() == series.y.size());
    for (std::size_t i = 0; i < series.y.size(); ++i) {
      const double error = result.standard_error[static_cast<std::size_t>(series.x[i])];
      CHECK(series.high[i] - series.y[i] == Approx(1.96 * error).epsilon(1e-3));
      CHECK(series.y[i] - series.low[i] == Approx(1.96 * error).epsilon(1e-3));
    }
  }
}

TEST_CASE("shares round to the nearest count, at least one", "[profile][unit]") {
  AnchorsConfig config;
  CHECK(anchor_count(config, 32) == 6);
  CHECK(anchor_count(config, 5) == 1);
  CHECK(anchor_count(config, 2) == 1);
  CHECK(anchor_count(config, 13) == 3);
  config.share = 0;
  CHECK(anchor_count(config, 5) == 0);
  config.count = 2;
  CHECK(anchor_count(config, 5) == 2);
  CHECK_THROWS_AS(anchor_count(config, 1), Error);
}

TEST_CASE("of equal layers the lower index is the anchor", "[profile][unit]") {
  CHECK(choose_anchors({1, 3, 3, 3}, 2) == std::vector<std::int64_t>{1, 2});
  CHECK(choose_anchors({-1, -2}, 1) == std::vector<std::int64_t>{0});
  CHECK(choose_anchors({1, 2}, 0).empty());
}

TEST_CASE("a power law is found with its exponent", "[profile][unit]") {
  const PowerLaw law = fit_power_law({0.5 / 27, 0.5, -1, 0.5 / 8, 0});  // 0.5 rank^-3 at ranks 1, 2, 3
  CHECK(law.layers == 3);
  CHECK(law.exponent == Approx(3));
  CHECK(law.scale == Approx(0.5));
  CHECK(law.r2 == Approx(1));
  CHECK(fit_power_law({1, 2}).exponent == 0);
}

TEST_CASE("a search for anchors that is killed and resumed gives the same bits", "[profile][unit]") {
  const Decoder decoder(planted_model(8, {2}));
  const TokenRows rows = self_rows(decoder, 4, 8, 2);
  const AnchorsResult whole = find_anchors(decoder, rows, with_count(1));
  const fs::path path = fs::temp_directory_path() / "elastify_anchor_resume.safetensors";
  fs::remove(path);
  struct Killed {};
  const std::int64_t killed_at = GENERATE(3, 8, 11);  // inside a batch and between two
  ResumePoint point{path, "key", 0, [&](std::int64_t steps) {
                      if (steps == killed_at) throw Killed();
                    }};
  CHECK_THROWS_AS(find_anchors(decoder, rows, with_count(1), point), Killed);
  std::int64_t saves = 0;
  point.after_save = [&](std::int64_t) { ++saves; };
  const AnchorsResult resumed = find_anchors(decoder, rows, with_count(1), point);
  CHECK(saves == 16 - killed_at);
  CHECK(resumed.loss_increase == whole.loss_increase);
  CHECK(resumed.standard_error == whole.standard_error);
  CHECK(resumed.base_loss == whole.base_loss);
  fs::remove(path);
}

TEST_CASE("anchors survive a file, and damaged files are refused", "[profile][unit]") {
  const fs::path path = fs::temp_directory_path() / "elastify_anchors.json";
  AnchorsResult result;
  result.base_loss = 1.5;
  result.loss_increase = {0.1, 0.30000000000000004, 0.2};
  result.standard_error = {0.01, 0.02, 0.03};
  result.anchors = {1};
  result.tokens = 99;
  result.power_law = fit_power_law(result.loss_increase);
  save_anchors(path, result);
  const AnchorsResult loaded = load_anchors(path, 3);
  CHECK(loaded.base_loss == result.base_loss);
  CHECK(loaded.loss_increase == result.loss_increase);
  CHECK(loaded.standard_error == result.standard_error);
  CHECK(loaded.anchors == result.anchors);
  CHECK(loaded.tokens == 99);
  CHECK(loaded.power_law.exponent == result.power_law.exponent);
  CHECK_THROWS_AS(load_anchors(path, 4), Error);
  for (const char* text :
       {"", "[]", "{\"base_loss\":1}", R"({"base_loss":1,"loss_increase":[1,2,null],"anchors":[],"tokens":1})",
        R"({"base_loss":1,"loss_increase":[1,2,3],"anchors":[3],"tokens":1})",
        R"({"base_loss":1,"loss_increase":[1,2,3],"anchors":[1,1],"tokens":1})"}) {
    write_file(path, text);
    try {
      load_anchors(path, 3);
      FAIL("accepted " << text);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kBadData);
    }
  }
  fs::remove(path);
}
