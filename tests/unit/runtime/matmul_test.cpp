// Products of float matrices against plain double loops, on every instruction set that this processor has.
#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/aligned_floats.hpp"
#include "kernels/kernels.hpp"
#include "support/gguf_builder.h"
#include "unit/runtime/instruction_sets.h"

using elastify_test::for_each_target;
using elrt::Matrix;
using elrt::TensorType;
namespace kernels = elrt::kernels;

namespace {

constexpr TensorType kTypes[] = {TensorType::kF32, TensorType::kF16, TensorType::kBF16};

struct Random {
  std::mt19937 engine;
  std::uint32_t integer(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(engine);
  }
  float real() { return std::uniform_real_distribution<float>(-2, 2)(engine); }
};

// A matrix as it lies in a file; what pads its tiles is zero, what lies after its rows is not a number.
struct Weights {
  std::vector<float> values;  // [outputs][inputs], as stored
  std::vector<std::uint8_t> bytes;
  Matrix matrix;

  Weights(Random& random, TensorType type, bool tiled, std::uint32_t outputs, std::uint32_t inputs)
      : values(std::size_t{outputs} * inputs) {
    matrix.type = type, matrix.tiled = tiled, matrix.outputs = outputs, matrix.inputs = inputs;
    matrix.tile_stride = tiled ? std::size_t{32} * outputs : 32;
    matrix.row_stride = tiled ? 32 : inputs;
    const std::size_t size = matrix.element_bytes(),
                      elements = tiled ? (inputs + 31) / 32 * matrix.tile_stride : values.size();
    bytes.assign(elements * size, 0);
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs; ++i)
        values[o * inputs + i] =
            put((i / 32 * matrix.tile_stride + o * matrix.row_stride + i % 32) * size, random.real());
    }
    bytes.resize(bytes.size() + 64 * size, 0xFF);
    matrix.data = reinterpret_cast<const std::byte*>(bytes.data());
  }

  float put(std::size_t at, float value) {
    if (matrix.type == TensorType::kF32) return std::memcpy(&bytes[at], &value, 4), value;
    const bool brain = matrix.type == TensorType::kBF16;
    if (brain) value = elastify_test::rounded_to_bf16(value);
    const auto half = brain ? static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16)
                            : elastify_test::half_from_float(value);
    std::memcpy(&bytes[at], &half, 2);
    return brain ? value : elastify_test::float_from_half_bits(half);
  }
};

struct Product {
  std::uint32_t outputs, inputs, tokens;
  std::size_t stride;
  std::vector<float> x, bias;

  Product(Random& random, const Matrix& m, std::uint32_t count) : outputs(m.outputs), inputs(m.inputs), tokens(count) {
    if (m.tiled)
      inputs = random.integer(1, m.inputs);
    else
      outputs = random.integer(1, m.outputs);
    stride = kernels::padded(inputs) + 32 * random.integer(0, 1);
    x.resize(tokens * stride);
    for (std::size_t t = 0; t < tokens; ++t) std::generate_n(&x[t * stride], inputs, [&] { return random.real(); });
    bias.resize(outputs);
    for (float& value : bias) value = random.real();
  }

  // Tokens first.. of it, in pieces of `piece` outputs.
  std::vector<float> run(const Matrix& m, std::uint32_t first, std::uint32_t count, std::uint32_t piece) const {
    std::vector<float> y(std::size_t{count} * outputs, 1);
    kernels::Matmul job{&m,    outputs, inputs, &x[first * stride], stride, y.data(), outputs,
                        count, 0.5f,    true,   bias.data()};
    job.cached = first % 2 == 1;
    elrt::RoundedRows rounded;
    if (kernels::rounds_inputs(m)) {
      rounded.allocate(count, inputs);
      for (std::uint32_t t = 0; t < count; ++t) kernels::round_row(&x[(first + t) * stride], inputs, rounded, t);
      job.rounded = &rounded;
    }
    elrt::AlignedFloats scratch(kernels::scratch_floats(job));
    for (std::uint32_t begin = 0; begin < outputs; begin += piece)
      kernels::matmul(job, begin, std::min(outputs, begin + piece), scratch.data());
    return y;
  }
};

// A sum of n rounded products in any order is within n units of the sum of their sizes (Higham 2002, 3.1); y, scale and
// bias add a few. Where inputs are rounded to bfloat16, products are exact, and the oracle rounds them too.
void check_against_double(const Weights& weights, const Product& p, const std::vector<float>& y) {
  const bool rounds = kernels::rounds_inputs(weights.matrix);
  double worst = 0;
  for (std::uint32_t t = 0; t < p.tokens; ++t) {
    for (std::uint32_t o = 0; o < p.outputs; ++o) {
      double sum = 0, size = 0;
      for (std::uint32_t i = 0; i < p.inputs; ++i) {
        const double x = p.x[t * p.stride + i], input = rounds ? elastify_test::rounded_to_bf16(x) : x,
                     term = weights.values[o * weights.matrix.inputs + i] * input;
        sum += term, size += std::abs(term);
      }
      const double bias = p.bias[o], exact = 1 + 0.5 * sum + bias,
                   bound = std::ldexp((p.inputs + 4) * (0.5 * size + std::abs(bias) + 1), -24);
      worst = std::max(worst, std::isfinite(y[t * p.outputs + o]) ? std::abs(y[t * p.outputs + o] - exact) / bound
                                                                  : std::numeric_limits<double>::infinity());
    }
  }
  CHECK(worst <= 1);
}

void check_everywhere(const Weights& weights, const Product& product, std::uint32_t piece, std::uint32_t token) {
  for_each_target([&](const std::string& target, bool) {
    INFO(target << ", " << elrt::type_name(weights.matrix.type) << (weights.matrix.tiled ? " tiles " : " rows ")
                << product.outputs << " x " << product.inputs << ", " << product.tokens << " tokens");
    const std::vector<float> whole = product.run(weights.matrix, 0, product.tokens, product.outputs);
    check_against_double(weights, product, whole);
    CHECK(product.run(weights.matrix, 0, product.tokens, piece) == whole);
    const std::vector<float> alone = product.run(weights.matrix, token, 1, piece);
    CHECK(std::equal(alone.begin(), alone.end(), whole.begin() + std::ptrdiff_t{token} * product.outputs));
  });
}

}  // namespace

TEST_CASE("float products equal a plain double loop, and no bit depends on batch or pieces", "[runtime][unit]") {
  Random random{std::mt19937(3)};
  for (int round = 0; round < 120; ++round) {
    const auto type = kTypes[round % 3];
    const Weights weights(random, type, round % 4 < 2, random.integer(1, 300), random.integer(33, 900));
    const Product product(random, weights.matrix,
                          random.integer(0, 4) == 0 ? random.integer(15, 40) : random.integer(1, 14));
    check_everywhere(weights, product, 4 * random.integer(1, 80), random.integer(0, product.tokens - 1));
  }
}

TEST_CASE("so do those of many tokens and inputs, whose rows are laid out again", "[runtime][unit]") {
  Random random{std::mt19937(4)};
  int grouped = 0;
  for (int round = 0; round < 40; ++round) {
    const auto type = kTypes[round % 3];
    const bool whole_groups =
        round % 5 < 2;  // the last row is laid out as well, after which stands what is not a number
    const Weights weights(random, type, round % 4 < 2,
                          whole_groups ? 2 * kernels::kGroupedRows : random.integer(64, 200),
                          random.integer(513, 1600));
    Product product(random, weights.matrix, random.integer(kernels::kGroupedTokens, 110));
    if (whole_groups) {
      product.outputs = weights.matrix.outputs;
      product.bias.resize(product.outputs, 0.25f);
    }
    grouped += product.inputs > kernels::kUngroupedInputs && product.outputs >= kernels::kGroupedRows ? 1 : 0;
    check_everywhere(weights, product, 8 * random.integer(1, 20), random.integer(0, product.tokens - 1));
  }
  CHECK(grouped >= 12);
}

TEST_CASE("inputs are rounded for BF16 weights alone, and only where the processor multiplies bfloat16",
          "[runtime][unit]") {
  for_each_target([&](const std::string& target, bool) {
    bool extended = false;
#if HWY_ARCH_X86
    extended = target == "AVX3 with extensions" && __builtin_cpu_supports("avx512bf16") != 0;
#endif
    INFO(target);
    CHECK(kernels::rounds_inputs({nullptr, TensorType::kBF16}) == extended);
    for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kQ8_0})
      CHECK_FALSE(kernels::rounds_inputs({nullptr, type}));
  });
}

TEST_CASE("activations are rounded to bfloat16 to nearest even, and stay NaN or infinite", "[runtime][unit]") {
  Random random{std::mt19937(5)};
  std::vector<float> x = {0.0f, -0.0f, 1.0f, 1.00390625f, 1.01171875f, -1.00390625f, 3.3e38f, 1e-40f, 9e-41f, -1e-45f};
  while (x.size() % 32 != 0 || x.size() < 4096) {
    const float any = std::bit_cast<float>(random.integer(0, 0xFF000000u));
    x.push_back(std::abs(any) < 3.38e38f ? any : 1.0f);  // what rounds to an infinity is below
  }
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for_each_target([&](const std::string& target, bool) {
    INFO(target);
    elrt::RoundedRows rows;
    rows.allocate(2, x.size());
    kernels::round_row(x.data(), x.size(), rows, 1);
    int differing = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float found = std::bit_cast<float>(std::uint32_t{rows.row(1)[i]} << 16);
      differing +=
          std::bit_cast<std::uint32_t>(found) != std::bit_cast<std::uint32_t>(elastify_test::rounded_to_bf16(x[i]));
    }
    CHECK(differing == 0);
    std::vector<float> odd(32, infinity);
    odd[1] = -infinity, odd[2] = nan, odd[3] = -nan, odd[4] = std::bit_cast<float>(0x7F800001u), odd[5] = 3.4e38f;
    kernels::round_row(odd.data(), odd.size(), rows, 0);
    const auto at = [&](std::size_t i) { return std::bit_cast<float>(std::uint32_t{rows.row(0)[i]} << 16); };
    CHECK(at(0) == infinity);
    CHECK(at(1) == -infinity);
    for (const std::size_t i : {2, 3, 4}) CHECK(std::isnan(at(i)));
    CHECK(at(5) == infinity);
  });
}
