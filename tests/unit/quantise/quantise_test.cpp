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

constexpr TensorType kFourBits[] = {TensorType::kQ4_0, TensorType::kIq4Nl};
constexpr TensorType kTypes[] = {TensorType::kQ8_0, TensorType::kQ4_0, TensorType::kIq4Nl};

// By trying them all.
double nearest_value(double ratio, TensorType type) {
  double best = type == TensorType::kQ4_0 ? -8 : -127;
  int index = 0;
  for (const int value : elrt::format::kIq4Codebook) {
    const double tried = type == TensorType::kQ4_0 ? index++ - 8 : value;
    if (std::abs(ratio - tried) < std::abs(ratio - best)) best = tried;
  }
  return best;
}

double weighted_error(const std::vector<float>& weights, const WeightBlock& block,
                      const std::vector<float>& importance) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double change = static_cast<double>(weights[i]) - static_cast<double>(block_scale(block)) * block.q[i];
    sum += change * change * static_cast<double>(importance[i]);
  }
  return sum;
}

// The plain rule: the weight of largest magnitude becomes the least q.
double plain_error(const std::vector<float>& weights, TensorType type, const std::vector<float>& importance) {
  float extreme = 0;
  for (const float weight : weights) extreme = std::abs(weight) > std::abs(extreme) ? weight : extreme;
  const float scale = static_cast<float>(c10::Half(extreme / (type == TensorType::kQ4_0 ? -8 : -127)));
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double weight = weights[i], q = scale == 0 ? 0 : nearest_value(weight / scale, type);
    sum += std::pow(weight - q * static_cast<double>(scale), 2) * static_cast<double>(importance[i]);
  }
  return sum;
}

// The least error of any scale, each rounded to: thousands of them, of both signs, tried in double precision.
double least_error(const std::vector<float>& weights, TensorType type, const std::vector<float>& importance) {
  double extreme = 0, least = 1e300;
  for (const float weight : weights) extreme = std::max(extreme, std::abs(static_cast<double>(weight)));
  const double end = type == TensorType::kQ4_0 ? 8 : 127;
  for (int step = -400; step <= 400; ++step) {
    const double scale = extreme / end * 2 * step / 400;
    double sum = 0;
    for (std::size_t i = 0; i < weights.size() && scale != 0; ++i) {
      const double weight = weights[i];
      sum += std::pow(weight - nearest_value(weight / scale, type) * scale, 2) * static_cast<double>(importance[i]);
    }
    if (scale != 0) least = std::min(least, sum);
  }
  return least;
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

TEST_CASE("four bits lose no more than the plain rule, block by block, whatever the inputs' importance",
          "[pack][unit]") {
  std::mt19937 engine(2);
  const std::vector<float> equal(32, 1.0f);
  for (const TensorType type : kFourBits) {
    double ours = 0, plain = 0, blind = 0, guided = 0, least = 0;
    for (const float size : {100.0f, 1.0f, 1e-3f, 1e-7f}) {
      for (int round = 0; round < 300; ++round) {
        const auto weights = random_block(engine, size);
        const WeightBlock block = quantise_block(weights, type);
        for (const std::int8_t q : block.q) REQUIRE(static_cast<double>(q) == nearest_value(q, type));
        const double error = squared_error(weights, block), bound = plain_error(weights, type, equal);
        REQUIRE(error <= bound * (1 + 1e-6));
        std::vector<float> importance = random_block(engine, 1);
        for (float& value : importance) value = value * value * value * value;
        const WeightBlock weighted = quantise_block(weights, type, importance);
        const double found = weighted_error(weights, weighted, importance);
        REQUIRE(found <= plain_error(weights, type, importance) * (1 + 1e-6));
        // Where float16 has but a few scales of the weights' size, what it loses would hide what is chosen.
        if (size < 1e-4f || round >= 100) continue;
        ours += error / (size * size), plain += bound / (size * size);
        guided += found / (size * size), blind += weighted_error(weights, block, importance) / (size * size);
        least += least_error(weights, type, importance) / (size * size);
      }
    }
    REQUIRE(ours < 0.95 * plain);
    REQUIRE(guided < 0.8 * blind);
    REQUIRE(guided < 1.25 * least);
  }
}

TEST_CASE("eight bits by importance lose no more than the plain rule", "[pack][unit]") {
  std::mt19937 engine(5);
  for (int round = 0; round < 200; ++round) {
    const auto weights = random_block(engine, 1);
    std::vector<float> importance = random_block(engine, 1);
    for (float& value : importance) value = value * value;
    REQUIRE(weighted_error(weights, quantise_block(weights, TensorType::kQ8_0, importance), importance) <=
            weighted_error(weights, quantise_block(weights, TensorType::kQ8_0), importance));
  }
  // Importance of nothing is no importance.
  const auto weights = random_block(engine, 1);
  const std::vector<float> none(32, 0.0f);
  REQUIRE(block_scale(quantise_block(weights, TensorType::kQ8_0, none)) ==
          block_scale(quantise_block(weights, TensorType::kQ8_0)));
}

TEST_CASE("blocks that are exact stay exact, zeros and short blocks included", "[pack][unit]") {
  std::vector<float> weights(32);
  for (int i = 0; i < 32; ++i) weights[static_cast<std::size_t>(i)] = 0.25f * static_cast<float>(i % 16 - 8);
  REQUIRE(squared_error(weights, quantise_block(weights, TensorType::kQ4_0)) == 0);
  for (int i = 0; i < 32; ++i) weights[static_cast<std::size_t>(i)] = 0.25f * elrt::format::kIq4Codebook[i * 5 % 16];
  REQUIRE(squared_error(weights, quantise_block(weights, TensorType::kIq4Nl)) == 0);
  for (const auto type : kTypes) {
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
  for (const auto type : kTypes) {
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
          q = g < 4 ? p[64 + g * 128 + o % 32 * 4 + i % 4] & 15 : p[64 + (g - 4) * 128 + o % 32 * 4 + i % 4] >> 4;
        if (type == TensorType::kQ4_0) q -= 8;
        if (type == TensorType::kIq4Nl) q = elrt::format::kIq4Codebook[q];
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
  for (const auto type : kTypes) {
    auto matrix = torch::zeros({3, 40});
    matrix[2][35] = 1e7f;
    elastify_test::expect_error(ErrorCode::kBadData, {"tensor blk.0.x", "float16 scale", "dtype f32"},
                                [&] { quantise_matrix(matrix, type, PanelOrder::kRows, "blk.0.x"); });
  }
}

namespace {

// E[x x'] of inputs that depend on each other.
torch::Tensor random_moments(std::int64_t inputs) {
  const torch::Tensor x =
      torch::randn({4 * inputs, inputs}, torch::kFloat64)
          .matmul(torch::randn({inputs, inputs}, torch::kFloat64) / std::sqrt(static_cast<double>(inputs)) +
                  torch::eye(inputs, torch::kFloat64));
  return x.t().matmul(x) / (4.0 * static_cast<double>(inputs));
}

double output_error(const torch::Tensor& matrix, const torch::Tensor& rounded, const torch::Tensor& moments) {
  const torch::Tensor change = (matrix - rounded).to(torch::kFloat64);
  return change.matmul(moments).mul(change).sum().item<double>();
}

}  // namespace

TEST_CASE("what is carried is the best that the inputs left can do", "[pack][unit]") {
  torch::manual_seed(6);
  constexpr std::int64_t kInputs = 40;
  const torch::Tensor moments = random_moments(kInputs);
  const MatrixGuide guide = make_guide(moments, {}, true);
  const torch::Tensor damped = moments + 0.01 * moments.diagonal().mean() * torch::eye(kInputs, torch::kFloat64);
  // Least squares: the change of the inputs after i that makes good most of a unit change of input i.
  for (std::int64_t i = 0; i + 1 < kInputs; ++i) {
    const std::int64_t left = kInputs - i - 1;
    const torch::Tensor among = damped.narrow(0, i + 1, left).narrow(1, i + 1, left),
                        with = damped.narrow(0, i + 1, left).select(1, i);
    const torch::Tensor best = -torch::inverse(among).mv(with);
    REQUIRE((guide.carry[i].narrow(0, i + 1, left) - best).abs().max().item<double>() < 1e-5);
  }
  REQUIRE((guide.importance - damped.diagonal()).abs().max().item<double>() < 1e-5);
  REQUIRE(make_guide(moments, {}, false).carry.defined() == false);
}

TEST_CASE("carrying what rounding changes loses less of the outputs", "[pack][unit]") {
  torch::manual_seed(7);
  const torch::Tensor moments = random_moments(100), matrix = torch::randn({70, 100});
  for (const auto type : kTypes) {
    const MatrixGuide carry = make_guide(moments, {}, true), scale = make_guide(moments, {}, false);
    const double blind = output_error(matrix, dequantised(matrix, type), moments),
                 scaled = output_error(matrix, dequantised(matrix, type, scale), moments),
                 carried = output_error(matrix, dequantised(matrix, type, carry), moments);
    REQUIRE(scaled < 1.05 * blind);
    REQUIRE(carried < 0.75 * scaled);
    // Independent inputs leave nothing to carry.
    const MatrixGuide apart = make_guide(torch::diag(moments.diagonal()), {}, true);
    REQUIRE(torch::equal(dequantised(matrix, type, apart), dequantised(matrix, type, scale)));
    const QuantisedMatrix packed = quantise_matrix(matrix, type, PanelOrder::kTiles, "x", carry);
    REQUIRE(packed.relative_rms_error ==
            Approx((dequantised(matrix, type, carry) - matrix).norm().item<double>() / matrix.norm().item<double>())
                .epsilon(1e-4));
  }
}

TEST_CASE("nothing is carried across a level's edge: a prefix is rounded as if it were alone", "[pack][unit]") {
  torch::manual_seed(8);
  const torch::Tensor moments = random_moments(160), matrix = torch::randn({33, 160});
  for (const auto type : kTypes) {
    const torch::Tensor whole = dequantised(matrix, type, make_guide(moments, {0, 64, 64, 96, 160}, true));
    for (const std::int64_t end : {64, 96}) {
      const torch::Tensor alone =
          dequantised(matrix.narrow(1, 0, end).contiguous(), type,
                      make_guide(moments.narrow(0, 0, end).narrow(1, 0, end).contiguous(), {64}, true));
      REQUIRE(torch::equal(whole.narrow(1, 0, end), alone));
    }
  }
}

TEST_CASE("moments of no text, of equal inputs or not finite are met", "[pack][unit]") {
  torch::manual_seed(9);
  const torch::Tensor matrix = torch::randn({5, 64});
  for (const torch::Tensor& moments :
       {torch::zeros({64, 64}, torch::kFloat64), torch::ones({64, 64}, torch::kFloat64)}) {
    const torch::Tensor seen = dequantised(matrix, TensorType::kIq4Nl, make_guide(moments, {}, true));
    REQUIRE(torch::isfinite(seen).all().item<bool>());
    REQUIRE((seen - matrix).abs().max().item<double>() < 2);
  }
  elastify_test::expect_error(ErrorCode::kBadData, {"calibration", "not finite"}, [] {
    make_guide(torch::full({3, 3}, NAN, torch::kFloat64), {}, true);
  });
}
