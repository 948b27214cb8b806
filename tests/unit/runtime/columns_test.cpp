// Products with matrices in columns, layer normalisation and softmax, against plain double loops, on every instruction
// set that this processor has.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/kernels.hpp"
#include "support/gguf_builder.h"
#include "support/panel_builder.h"
#include "unit/runtime/instruction_sets.h"

using elastify_test::for_each_target;
using elrt::TensorType;
namespace kernels = elrt::kernels;

namespace {

constexpr float kUntouched = 12345;

struct Case {
  std::uint32_t outputs, inputs, tokens, side;  // side: columns that lie side by side
  TensorType type;
  bool accumulate, has_bias;
  std::vector<float> weights, x, bias;  // weights [outputs][inputs], x [tokens][inputs + 5]
  std::vector<std::uint8_t> columns;

  explicit Case(std::mt19937& random) {
    const auto integer = [&](std::uint32_t low, std::uint32_t high) {
      return std::uniform_int_distribution<std::uint32_t>(low, high)(random);
    };
    std::uniform_real_distribution<float> real(-2, 2);
    outputs = integer(1, 140), inputs = integer(1, 200), tokens = integer(1, 40);
    side = outputs <= 32 && integer(0, 1) == 0 ? (outputs + 7) / 8 * 8 : 32;
    type = std::array{TensorType::kF32, TensorType::kF16, TensorType::kQ8_0}[integer(0, 2)];
    if (type == TensorType::kQ8_0) side = 32;
    accumulate = integer(0, 1) == 0, has_bias = integer(0, 1) == 0;
    weights.resize(std::size_t{outputs} * inputs);
    x.resize(std::size_t{tokens} * stride());
    bias.resize(outputs);
    for (auto* values : {&weights, &x, &bias}) {
      for (float& value : *values) value = real(random);
    }
    if (type == TensorType::kQ8_0) {
      auto blocks = elastify_test::quantise_columns(outputs, inputs, weights);
      columns = std::move(blocks.bytes), weights = std::move(blocks.values);
    } else {
      lay_out();
    }
  }

  void lay_out() {
    const std::size_t size = type == TensorType::kF32 ? 4 : 2;
    columns.assign((outputs + side - 1) / side * std::size_t{inputs} * side * size, 0);
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs; ++i)
        put(((o / side * inputs + i) * side + o % side) * size, weights[o * inputs + i]);
    }
  }

  std::size_t stride() const { return inputs + 5; }

  void put(std::size_t at, float& value) {
    if (type == TensorType::kF32) {
      std::memcpy(&columns[at], &value, 4);
    } else {
      const std::uint16_t half = elastify_test::half_from_float(value);
      std::memcpy(&columns[at], &half, 2);
      value = elastify_test::float_from_half_bits(half);
    }
  }

  // Tokens first.., a row of y and one value that must stay as it is for each; in pieces of `piece` outputs.
  std::vector<float> run(std::uint32_t first, std::uint32_t count, std::uint32_t piece) const {
    std::vector<float> y(std::size_t{count} * (outputs + 1), 0.5f);
    for (std::uint32_t t = 0; t < count; ++t) y[t * (outputs + 1) + outputs] = kUntouched;
    const kernels::ColumnProduct job{reinterpret_cast<const std::byte*>(columns.data()),
                                     type,
                                     outputs,
                                     inputs,
                                     &x[first * stride()],
                                     stride(),
                                     y.data(),
                                     outputs + 1,
                                     count,
                                     accumulate,
                                     has_bias ? bias.data() : nullptr,
                                     side};
    for (std::uint32_t begin = 0; begin < outputs; begin += piece)
      kernels::multiply_columns(job, begin, std::min(outputs, begin + piece));
    return y;
  }

  // The largest error as a share of what rounding allows (Higham 2002, 3.1): a sum of n products is within n units of
  // their sizes' sum.
  double error(const std::vector<float>& y) const {
    double worst = 0;
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t o = 0; o < outputs; ++o) {
        double exact = (accumulate ? 0.5 : 0) + (has_bias ? bias[o] : 0), size = 4;
        for (std::size_t i = 0; i < inputs; ++i) {
          const double term = static_cast<double>(weights[o * inputs + i]) * x[t * stride() + i];
          exact += term, size += std::abs(term);
        }
        const double off = std::abs(y[t * (outputs + 1) + o] - exact) / std::ldexp((inputs + 2) * size, -24);
        worst = std::isfinite(off) ? std::max(worst, off) : std::numeric_limits<double>::infinity();
      }
    }
    return worst;
  }
};

}  // namespace

TEST_CASE(
    "products in columns equal a plain double loop, and no bit depends on the batch, on pieces or the vector's width",
    "[runtime][unit]") {
  std::mt19937 random(5);
  for (int round = 0; round < 80; ++round) {
    const Case product(random);
    const std::uint32_t token = std::uniform_int_distribution<std::uint32_t>(0, product.tokens - 1)(random);
    std::vector<float> fused_bits;
    for_each_target([&](const std::string& target, bool fused) {
      INFO(target << ", " << elrt::type_name(product.type) << " " << product.outputs << " x " << product.inputs << ", "
                  << product.tokens << " tokens");
      const std::vector<float> whole = product.run(0, product.tokens, product.outputs);
      CHECK(product.error(whole) <= 1);
      for (std::size_t t = 0; t < product.tokens; ++t)
        CHECK(whole[t * (product.outputs + 1) + product.outputs] == kUntouched);
      CHECK(product.run(0, product.tokens, 8 * (1 + token % 12)) == whole);
      const std::vector<float> alone = product.run(token, 1, product.outputs);
      CHECK(std::equal(alone.begin(), alone.end(),
                       whole.begin() + static_cast<std::ptrdiff_t>(std::size_t{token} * (product.outputs + 1))));
      if (!fused) return;
      if (fused_bits.empty()) fused_bits = whole;
      CHECK(whole == fused_bits);
    });
  }
}

TEST_CASE("columns in Q8_0 give the bits of equal ones in F32; a bad scale spoils what its outputs give, and no more",
          "[runtime][unit]") {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    Case product(random);
    if (product.type != TensorType::kQ8_0) continue;
    Case floats = product;
    floats.type = TensorType::kF32;
    floats.lay_out();
    Case spoilt = product;
    spoilt.columns[0] = 0, spoilt.columns[1] = 0x7E;  // NaN, of the first 32 outputs
    for_each_target([&](const std::string& target, bool) {
      INFO(target << ", " << product.outputs << " x " << product.inputs << ", " << product.tokens << " tokens");
      const auto y = product.run(0, product.tokens, product.outputs);
      CHECK(y == floats.run(0, product.tokens, product.outputs));
      const auto bad = spoilt.run(0, product.tokens, product.outputs);
      for (std::size_t i = 0; i < y.size(); ++i) {
        const std::size_t output = i % (product.outputs + 1);
        CHECK((output < std::min(32u, product.outputs) ? std::isnan(bad[i]) : bad[i] == y[i]));
      }
    });
  }
}

TEST_CASE("layer normalisation equals a plain double loop, and no bit of a row depends on the rows next to it",
          "[runtime][unit]") {
  constexpr float kEpsilon = 1e-6f;
  std::mt19937 random(7);
  std::uniform_real_distribution<float> real(-2, 3);
  for (const std::size_t count : {1, 7, 24, 32, 64, 67}) {
    const std::size_t rows = 11, stride = count + 3;
    std::vector<float> x(rows * stride), weight(count), bias(count);
    for (auto* values : {&x, &weight, &bias}) {
      for (float& value : *values) value = real(random);
    }
    for_each_target([&](const std::string& target, bool) {
      INFO(target << ", " << count << " values");
      std::vector<float> all = x;
      kernels::layer_norm(all.data(), stride, rows, weight.data(), bias.data(), kEpsilon, count);
      for (std::size_t r = 0; r < rows; ++r) {
        double mean = 0, variance = 0, worst = 0;
        for (std::size_t i = 0; i < count; ++i)
          mean += static_cast<double>(x[r * stride + i]) / static_cast<double>(count);
        for (std::size_t i = 0; i < count; ++i)
          variance += std::pow(x[r * stride + i] - mean, 2) / static_cast<double>(count);
        for (std::size_t i = 0; i < count; ++i) {
          const double exact = (x[r * stride + i] - mean) / std::sqrt(variance + kEpsilon) * weight[i] + bias[i];
          worst = std::max(worst, std::abs(all[r * stride + i] - exact));
        }
        CHECK(worst <= (count == 1 ? 1e-3 : 1e-5));  // of one value all is rounding, over sqrt(epsilon)
        std::vector<float> alone(x.begin() + static_cast<std::ptrdiff_t>(r * stride),
                                 x.begin() + static_cast<std::ptrdiff_t>((r + 1) * stride));
        kernels::layer_norm(alone.data(), stride, 1, weight.data(), bias.data(), kEpsilon, count);
        CHECK(std::equal(alone.begin(), alone.end(),
                         all.begin() + static_cast<std::ptrdiff_t>(r * stride)));  // what lies after a row included
      }
    });
  }
}

TEST_CASE("softmax sums to one, shows what is not finite, and does not see what lies after", "[runtime][unit]") {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> real(-30, 30);
  for (const std::size_t count : {1, 2, 31, 32, 33, 100}) {
    std::vector<float> values(count);
    for (float& value : values) value = real(random);
    const double highest = *std::max_element(values.begin(), values.end());
    double sum = 0;
    for (const float value : values) sum += std::exp(0.25 * (value - highest));
    for_each_target([&](const std::string& target, bool) {
      INFO(target << ", " << count << " values");
      std::vector<float> x(kernels::padded(count), std::numeric_limits<float>::quiet_NaN());
      std::copy(values.begin(), values.end(), x.begin());
      const float norm = kernels::softmax_weights(x.data(), 0.25f, count);
      double worst = 0;
      for (std::size_t i = 0; i < count; ++i)
        worst = std::max(worst, std::abs(norm * x[i] - std::exp(0.25 * (values[i] - highest)) / sum));
      CHECK(worst <= 4e-7);  // a few units of float32 below 1, and the exponential's own error
      CHECK(
          std::all_of(x.begin() + static_cast<std::ptrdiff_t>(count), x.end(), [](float value) { return value == 0; }));
      std::copy(values.begin(), values.end(), x.begin());
      x[0] = -1e30f;  // far below the others: no weight next to them, and none that is denormal
      kernels::softmax_weights(x.data(), 1, count);
      CHECK((count == 1 || (x[0] < 1e-29f && x[0] > 1e-31f)));
      for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        x[count / 2] = wrong;
        CHECK(std::isnan(kernels::softmax_weights(x.data(), 1, count)));
      }
    });
  }
}
