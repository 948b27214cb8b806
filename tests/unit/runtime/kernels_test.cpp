// Vector kernels against plain double precision at the ends of the number range.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernels.hpp"

TEST_CASE("silu closes for good where the gate is far below zero", "[runtime][unit]") {
  std::vector<float> gates = {-1e30f, -1e4f, -2e3f, -300, -105, -104, -89, -88, -87, -50, -1, 0, 1, 88, 105, 1e4f};
  const std::vector<float> original = gates;
  gates.resize(elrt::kernels::padded(gates.size()), 0);
  const std::vector<float> up(gates.size(), 3);
  elrt::kernels::silu_multiply(gates.data(), up.data(), gates.size());
  for (std::size_t i = 0; i < original.size(); ++i) {
    INFO(original[i]);
    const double exact = 3 * static_cast<double>(original[i]) / (1 + std::exp(-static_cast<double>(original[i])));
    CHECK(std::isfinite(gates[i]));
    CHECK(std::abs(gates[i] - exact) <=
          1e-6 * std::abs(exact) + 1e-6);  // float32 and an exponential good to a few units
  }
}

TEST_CASE("gelu of the error function is exact to float32, in rows of any length", "[runtime][unit]") {
  std::vector<float> inputs = {-1e30f, -1e4f, -105, -60, -20, 20, 60, 105, 1e4f, 1e30f, 0};
  for (int i = -12000; i <= 12000; ++i) inputs.push_back(static_cast<float>(i) * 1e-3f);
  for (const std::size_t length : {inputs.size(), std::size_t{1}, std::size_t{7}, std::size_t{33}}) {
    std::vector<float> row(inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(length));
    row.push_back(5);  // what lies after the row stays
    elrt::kernels::gelu(row.data(), length);
    CHECK(row.back() == 5);
    double most = 0;
    for (std::size_t i = 0; i < length; ++i) {
      const auto x = static_cast<double>(inputs[i]);
      const double exact = x / 2 * std::erfc(-x / std::sqrt(2.0));
      most = std::max(most, std::abs(row[i] - exact) / std::max(std::abs(x), 1e-3));
    }
    INFO(length);
    CHECK(most < 3e-7);  // 7.5e-8 of the approximation, two roundings of float32's 2^-24 and the exponential's
  }
  std::vector<float> wrong = {std::numeric_limits<float>::quiet_NaN(), 1};
  elrt::kernels::gelu(wrong.data(), wrong.size());
  CHECK(std::isnan(wrong[0]));
}

TEST_CASE("gelu is that of the tanh form, at both ends too", "[runtime][unit]") {
  std::vector<float> gates = {-1e10f, -1e4f, -60, -20, -10, -6, -3, -1, -0.1f, 0, 0.1f, 1, 3, 6, 10, 60, 1e4f, 1e10f};
  const std::vector<float> original = gates;
  gates.resize(elrt::kernels::padded(gates.size()), 0);
  const std::vector<float> up(gates.size(), 3);
  elrt::kernels::gelu_multiply(gates.data(), up.data(), gates.size());
  for (std::size_t i = 0; i < original.size(); ++i) {
    INFO(original[i]);
    const auto g = static_cast<double>(original[i]);
    const double exact = 1.5 * g * (1 + std::tanh(std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
    CHECK(std::isfinite(gates[i]));
    CHECK(std::abs(gates[i] - exact) <= 2e-6 * std::abs(exact) + 1e-6);  // as silu, with a cube in the exponent
  }
}
