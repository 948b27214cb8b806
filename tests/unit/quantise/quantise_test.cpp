// The quantisers' promises about single blocks, and the panels' bytes.
#include "quantise/quantise.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <elrt/format.h>

#include <cmath>
#include <random>

#include "support/expect_error.h"

using namespace elastify;
using elrt::TensorType;

namespace {

std::vector<float> random_block(std::mt19937& engine, float scale) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> weights(32);
  for (float& weight : weights) weight = normal(engine);
  return weights;
}

double squared_error(const std::vector<float>& weights, const WeightBlock& block) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i)
    sum += std::pow(static_cast<double>(weights[i]) - static_cast<double>(block_scale(block)) * block.q[i], 2);
  return sum;
}

// The plain rule: the weight of largest magnitude becomes -8.
double plain_q4_error(const std::vector<float>& weights) {
  float extreme = 0;
  for (const float weight : weights) extreme = std::abs(weight) > std::abs(extreme) ? weight : extreme;
  const float scale = static_cast<float>(c10::Half(extreme / -8));
  double sum = 0;
  for (const float weight : weights) {
    const double q = scale == 0 ? 0 : std::clamp(std::nearbyint(static_cast<double>(weight) / scale), -8.0, 7.0);
    sum += std::pow(weight - q * scale, 2);
  }
  return sum;
}

}  // namespace

TEST_CASE("eight bits keep every weight within half a scale, whatever its size", "[pack][unit]") {
  std::mt19937 engine(1);
  for (const float size : {1e4f, 1.0f, 1e-3f, 1e-5f, 3e-6f, 1e-7f, 1e-9f}) {
    for (int round = 0; round < 200; ++round) {
      const auto weights = random_block(engine, size);
      const WeightBlock block = quantise_block(weights, TensorType::kQ8_0);
      const double scale = block_scale(block);
      for (std::size_t i = 0; i < 32; ++i) {
        REQUIRE(std::abs(block.q[i]) <= 127);
        REQUIRE(std::abs(weights[i] - scale * block.q[i]) <= 0.5001 * scale);
      }
      // No coarser than float16 makes the scale: its smallest steps are 2^-24.
      float largest = 0;
      for (const float weight : weights) largest = std::max(largest, std::abs(weight));
      REQUIRE(scale <= largest / 127 * 1.001 + 0x1p-24);
    }
  }
}

TEST_CASE("four bits lose no more than the plain rule, block by block", "[pack][unit]") {
  std::mt19937 engine(2);
  double ours = 0, plain = 0;
  for (const float size : {100.0f, 1.0f, 1e-3f, 1e-7f}) {
    for (int round = 0; round < 300; ++round) {
      const auto weights = random_block(engine, size);
      const WeightBlock block = quantise_block(weights, TensorType::kQ4_0);
      for (const std::int8_t q : block.q) REQUIRE((q >= -8 && q <= 7));
      const double error = squared_error(weights, block), bound = plain_q4_error(weights);
      REQUIRE(error <= bound * (1 + 1e-6));
      ours += error / (size * size), plain += bound / (size * size);
    }
  }
  REQUIRE(ours < 0.95 * plain);
}

TEST_CASE("blocks that are exact stay exact, zeros and short blocks included", "[pack][unit]") {
  std::vector<float> weights(32);
  for (int i = 0; i < 32; ++i) weights[static_cast<std::size_t>(i)] = 0.25f * static_cast<float>(i % 16 - 8);
  REQUIRE(squared_error(weights, quantise_block(weights, TensorType::kQ4_0)) == 0);
  for (const auto type : {TensorType::kQ8_0, TensorType::kQ4_0}) {
    REQUIRE(squared_error(std::vector<float>(32, 0.0f), quantise_block(std::vector<float>(32, 0.0f), type)) == 0);
    const std::vector<float> one = {-0.5f};
    const WeightBlock block = quantise_block(one, type);
    REQUIRE(std::abs(block_scale(block) * block.q[0] + 0.5f) < 5e-4);
    for (std::size_t i = 1; i < 32; ++i) REQUIRE(block.q[i] == 0);
  }
}

TEST_CASE("panels hold the blocks where the format says", "[pack][unit]") {
  torch::manual_seed(4);
  const auto matrix = torch::randn({45, 100});
  for (const auto type : {TensorType::kQ8_0, TensorType::kQ4_0}) {
    const auto seen = dequantised(matrix, type);
    for (const auto order : {PanelOrder::kRows, PanelOrder::kTiles}) {
      const QuantisedMatrix made = quantise_matrix(matrix, type, order, "x");
      const std::int64_t panel_bytes = type == TensorType::kQ8_0 ? 1088 : 576;
      REQUIRE(made.bytes.numel() == 2 * 4 * panel_bytes);
      REQUIRE(panel_shape(45, 100, order) == (order == PanelOrder::kRows ? std::vector<std::int64_t>{2, 4, 32, 32}
                                                                         : std::vector<std::int64_t>{4, 2, 32, 32}));
      REQUIRE(made.relative_rms_error ==
              Approx((seen - matrix).norm().item<double>() / matrix.norm().item<double>()).epsilon(1e-4));
      for (const auto& [o, i] : {std::pair{0, 0}, {31, 31}, {32, 5}, {44, 99}, {7, 50}, {13, 83}, {44, 64}}) {
        const std::int64_t panel = order == PanelOrder::kRows ? o / 32 * 4 + i / 32 : i / 32 * 2 + o / 32;
        const auto* p = made.bytes.data_ptr<std::uint8_t>() + panel * panel_bytes;
        const auto half = static_cast<std::uint16_t>(p[2 * (o % 32)] | p[2 * (o % 32) + 1] << 8);
        const int g = i % 32 / 4;
        int q = 0;
        if (type == TensorType::kQ8_0)
          q = p[64 + g * 128 + o % 32 * 4 + i % 4] - 128;
        else
          q = (g < 4 ? p[64 + g * 128 + o % 32 * 4 + i % 4] & 15 : p[64 + (g - 4) * 128 + o % 32 * 4 + i % 4] >> 4) - 8;
        REQUIRE(static_cast<float>(c10::Half(half, c10::Half::from_bits())) * static_cast<float>(q) ==
                seen[o][i].item<float>());
      }
      // Beyond the last output and input: zero.
      const auto* last = made.bytes.data_ptr<std::uint8_t>() + 7 * panel_bytes;
      REQUIRE((last[2 * 13] == 0 && last[2 * 13 + 1] == 0));
      REQUIRE(last[64 + 1 * 128 + 12 * 4] == (type == TensorType::kQ8_0 ? 128 : 0x88));
    }
  }
}

TEST_CASE("weights that no float16 scale reaches are refused by name", "[pack][unit]") {
  for (const auto type : {TensorType::kQ8_0, TensorType::kQ4_0}) {
    auto matrix = torch::zeros({3, 40});
    matrix[2][35] = 1e7f;
    elastify_test::expect_error(ErrorCode::kBadData, {"tensor blk.0.x", "float16 scale", "dtype f32"},
                                [&] { quantise_matrix(matrix, type, PanelOrder::kRows, "blk.0.x"); });
  }
}
