// Quantised matrix products against plain double loops, on every instruction set that this processor has.
#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "kernels/kernels.hpp"
#include "support/gguf_builder.h"
#include "support/panel_builder.h"
#include "unit/runtime/instruction_sets.h"

using elastify_test::for_each_target;
using elastify_test::kIq4;
using elastify_test::kQ4;
using elastify_test::kQ8;
using elastify_test::PanelMatrix;
using elrt::Matrix;
using elrt::QuantisedRows;
using elrt::TensorType;
namespace kernels = elrt::kernels;

namespace {

constexpr std::uint32_t kTypes[] = {kQ8, kQ4, kIq4};

struct Random {
  std::mt19937 engine;
  explicit Random(unsigned seed) : engine(seed) {}
  int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine); }
  float real(float scale) { return std::uniform_real_distribution<float>(-scale, scale)(engine); }
};

// A random matrix over the whole range of its type, extremes included.
PanelMatrix random_matrix(Random& random, std::uint32_t type, bool tiled, std::uint32_t outputs, std::uint32_t inputs,
                          std::uint32_t side = 32) {
  const int low = type == kQ4 ? -8 : -127, high = type == kQ8 ? 127 : type == kQ4 ? 7 : 113;
  std::vector<int> q(std::size_t{outputs} * inputs);
  for (int& value : q)
    value = random.integer(0, 7) == 0 ? (random.integer(0, 1) == 0 ? low : high) : random.integer(low, high);
  for (int& value : q) value = type == kIq4 ? elastify_test::kIq4Values[value & 15] : value;
  std::vector<std::uint16_t> scales(std::size_t{outputs} * ((inputs + 31) / 32));
  for (auto& scale : scales) scale = elastify_test::half_from_float(random.real(0.1f));
  return elastify_test::make_panels(type, tiled, outputs, inputs, q, scales, side);
}

Matrix view(const PanelMatrix& panels, std::uint32_t type, bool tiled, std::uint32_t outputs, std::uint32_t inputs,
            std::uint32_t side = 32) {
  const std::size_t across = (inputs + 31) / 32, down = (outputs + side - 1) / side;
  Matrix m{reinterpret_cast<const std::byte*>(panels.bytes.data()), static_cast<TensorType>(type), outputs, inputs};
  m.panel_outputs = side;
  m.tile_stride = tiled ? down * m.panel_bytes() : m.panel_bytes();
  m.row_stride = tiled ? m.panel_bytes() : across * m.panel_bytes();
  m.tiled = tiled;
  return m;
}

// Rows of floats, padded with zeros as the kernels ask.
struct Rows {
  std::vector<float> values;
  std::size_t stride;
  Rows(Random& random, std::size_t tokens, std::size_t width, float scale = 1)
      : values(tokens * kernels::padded(width)), stride(kernels::padded(width)) {
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t i = 0; i < width; ++i)
        values[t * stride + i] = random.integer(0, 9) == 0 ? scale : random.real(scale);
    }
  }
};

QuantisedRows quantise(const Rows& x, std::size_t tokens, std::size_t width) {
  QuantisedRows out;
  out.allocate(tokens, width);
  for (std::size_t t = 0; t < tokens; ++t) kernels::quantise_row(x.values.data() + t * x.stride, width, out, t);
  return out;
}

struct Case {
  std::uint32_t type;
  bool tiled;
  std::uint32_t outputs, inputs;              // of the matrix
  std::uint32_t level_outputs, level_inputs;  // of the prefix that is used
  std::uint32_t tokens;
  std::uint32_t side = 32;  // outputs of a panel
};

Case random_case(Random& random, std::uint32_t type) {
  Case c{type,
         random.integer(0, 1) == 1,
         static_cast<std::uint32_t>(random.integer(1, 300)),
         static_cast<std::uint32_t>(random.integer(1, 700)),
         0,
         0,
         static_cast<std::uint32_t>(random.integer(0, 9) == 0 ? random.integer(120, 140) : random.integer(1, 14))};
  if (type == kQ8 && random.integer(0, 1) == 1) c.tiled = true, c.side = 16, c.outputs = c.outputs % 50 + 1;
  c.level_outputs = c.tiled ? c.outputs : static_cast<std::uint32_t>(random.integer(1, static_cast<int>(c.outputs)));
  c.level_inputs = c.tiled ? static_cast<std::uint32_t>(random.integer(1, static_cast<int>(c.inputs))) : c.inputs;
  return c;
}

std::string describe(const Case& c) {
  return "type " + std::to_string(c.type) + (c.tiled ? " tiles " : " rows ") + std::to_string(c.level_outputs) + "/" +
         std::to_string(c.outputs) + " x " + std::to_string(c.level_inputs) + "/" + std::to_string(c.inputs) +
         ", tokens " + std::to_string(c.tokens);
}

// The kernel's own rule, one output: exact integer sums, one rounded multiply-add per block, ascending.
float by_rule(const std::vector<float>& weights, const PanelMatrix& m, const Case& c, std::size_t output,
              const QuantisedRows& x, std::size_t token) {
  float sum = 0;
  const std::size_t panel_bytes = c.side * (c.type == kQ8 ? 34 : 18), across = (c.inputs + 31) / 32,
                    down = (c.outputs + c.side - 1) / c.side;
  for (std::size_t block = 0; block * 32 < c.level_inputs; ++block) {
    const std::size_t panel = c.tiled ? block * down + output / c.side : output / c.side * across + block;
    const unsigned char* bytes = m.bytes.data() + panel * panel_bytes + 2 * (output % c.side);
    const float scale = elastify_test::float_from_half_bits(static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8));
    long dot = 0;
    for (std::size_t i = block * 32; i < std::min<std::size_t>(c.inputs, block * 32 + 32); ++i) {
      const long q = scale == 0 ? 0 : std::lround(weights[output * c.inputs + i] / scale);
      dot += q * x.row(token)[i];
    }
    sum = std::fma(static_cast<float>(dot), scale * x.row_factors(token)[block].scale, sum);
  }
  return sum;
}

}  // namespace

TEST_CASE("quantised products equal a plain double loop on every instruction set", "[runtime][unit]") {
  Random random(1);
  for (int round = 0; round < 90; ++round) {
    const Case c = random_case(random, kTypes[round % 3]);
    const PanelMatrix panels = random_matrix(random, c.type, c.tiled, c.outputs, c.inputs, c.side);
    const Matrix m = view(panels, c.type, c.tiled, c.outputs, c.inputs, c.side);
    const Rows x(random, c.tokens, c.level_inputs, 3);
    std::vector<float> bias(c.outputs);
    for (float& b : bias) b = random.real(5);
    const bool accumulate = round % 3 == 0, biased = round % 4 < 2;
    const std::size_t y_stride = c.level_outputs + 5;
    std::vector<float> before(c.tokens * y_stride);
    for (float& value : before) value = random.real(1);
    for_each_target([&](const std::string& target, bool fused) {
      const QuantisedRows q = quantise(x, c.tokens, c.level_inputs);
      std::vector<float> y = before;
      kernels::Matmul job{&m,
                          c.level_outputs,
                          c.level_inputs,
                          x.values.data(),
                          x.stride,
                          y.data(),
                          y_stride,
                          c.tokens,
                          1.5f,
                          accumulate,
                          biased ? bias.data() : nullptr,
                          &q};
      kernels::matmul(job, 0, c.level_outputs);
      double worst = 0;
      std::size_t different = 0;
      for (std::size_t t = 0; t < c.tokens; ++t) {
        for (std::size_t o = 0; o < c.level_outputs; ++o) {
          double sum = 0, magnitude = 1;
          for (std::size_t i = 0; i < c.level_inputs; ++i) {
            const double product =
                static_cast<double>(panels.values[o * c.inputs + i]) * q.row(t)[i] * q.row_factors(t)[i / 32].scale;
            sum += product, magnitude += std::abs(product);
          }
          const double start = accumulate ? before[t * y_stride + o] : 0.0,
                       expected = start + (1.5 * sum + (biased ? bias[o] : 0.0f));
          worst = std::max(worst, std::abs(y[t * y_stride + o] - expected) / magnitude);
          if (!fused) continue;
          const float product = 1.5f * by_rule(panels.values, panels, c, o, q, t),
                      whole = biased ? product + bias[o] : product;
          if (std::bit_cast<std::uint32_t>(accumulate ? before[t * y_stride + o] + whole : whole) !=
              std::bit_cast<std::uint32_t>(y[t * y_stride + o]))
            ++different;
        }
        for (std::size_t o = c.level_outputs; o < y_stride; ++o)
          REQUIRE(y[t * y_stride + o] == before[t * y_stride + o]);
      }
      INFO(target << ", " << describe(c));
      CHECK(worst < 2e-6);    // float32 sums of up to 22 blocks
      CHECK(different == 0);  // bit for bit
    });
  }
}

TEST_CASE("a row's product has the same bits in every batch and every cut of the outputs", "[runtime][unit]") {
  Random random(2);
  for (const std::uint32_t type : kTypes) {
    for (const int order : {0, 1, 2}) {  // rows, tiles, an adapter's tiles
      if (order == 2 && type != kQ8) continue;
      constexpr std::uint32_t kOutputs = 203, kInputs = 600, kTokens = 150;
      const bool tiled = order > 0;
      const std::uint32_t side = order == 2 ? 16 : 32;
      const PanelMatrix panels = random_matrix(random, type, tiled, kOutputs, kInputs, side);
      const Matrix m = view(panels, type, tiled, kOutputs, kInputs, side);
      const Rows x(random, kTokens, kInputs);
      for_each_target([&](const std::string& target, bool) {
        const QuantisedRows all = quantise(x, kTokens, kInputs);
        std::vector<float> whole(kTokens * kOutputs), parts(kTokens * kOutputs);
        kernels::Matmul job{&m,       kOutputs, kInputs, x.values.data(), x.stride, whole.data(),
                            kOutputs, kTokens,  1,       false,           nullptr,  &all};
        kernels::matmul(job, 0, kOutputs);
        std::uint32_t done = 0;
        for (std::uint32_t batch = 1; done < kTokens; done += batch, batch = batch % 11 + 1) {
          batch = std::min(batch, kTokens - done);
          Rows some = x;
          some.values.erase(some.values.begin(), some.values.begin() + static_cast<long>(done * x.stride));
          const QuantisedRows q = quantise(some, batch, kInputs);
          kernels::Matmul part{&m,       kOutputs,
                               kInputs,  some.values.data(),
                               x.stride, parts.data() + done * kOutputs,
                               kOutputs, batch,
                               1,        false,
                               nullptr,  &q};
          part.cached = batch % 2 == 1;
          for (std::uint32_t begin = 0; begin < kOutputs; begin += 32 * batch)
            kernels::matmul(part, begin, std::min(kOutputs, begin + 32 * batch));
        }
        INFO(target << ", type " << type << (tiled ? ", tiles of " : ", rows of ") << side);
        CHECK(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(float)) == 0);
      });
    }
  }
}

TEST_CASE("activations in eight bits are the nearest, on every instruction set alike", "[runtime][unit]") {
  Random random(3);
  for (const float scale : {1.0f, 1e-20f, 1e20f}) {
    constexpr std::size_t kWidth = 333, kTokens = 5;
    const Rows x(random, kTokens, kWidth, scale);
    QuantisedRows first;
    for_each_target([&](const std::string& target, bool) {
      INFO(target << ", scale " << scale);
      const QuantisedRows q = quantise(x, kTokens, kWidth);
      double worst = 0;
      for (std::size_t t = 0; t < kTokens; ++t) {
        for (std::size_t block = 0; block < q.block_stride; ++block) {
          const auto& factors = q.row_factors(t)[block];
          std::int32_t sum = 0;
          for (std::size_t i = block * 32; i < block * 32 + 32; ++i) {
            sum += q.row(t)[i];
            const double value = i < x.stride ? x.values[t * x.stride + i] : 0.0;
            worst = std::max(worst, std::abs(static_cast<double>(factors.scale) * q.row(t)[i] - value) / factors.scale);
          }
          REQUIRE(factors.minus_8_sum == -8 * sum);
          REQUIRE(factors.minus_128_sum == -128 * sum);
        }
      }
      CHECK(worst <= 0.5 + 1e-4);
      if (first.values.empty()) first = q;
      CHECK(first.values == q.values);
    });
  }
}

TEST_CASE("activations that are nothing, NaN or infinite stay so", "[runtime][unit]") {
  Random random(4);
  const PanelMatrix panels = random_matrix(random, kQ8, false, 40, 96);
  const Matrix m = view(panels, kQ8, false, 40, 96);
  for_each_target([&](const std::string& target, bool) {
    INFO(target);
    for (const float odd : {0.0f, 1e-38f, std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
      Rows x(random, 1, 96);
      const bool finite = std::isfinite(odd);
      if (finite)
        std::fill(x.values.begin(), x.values.end(), odd);
      else
        x.values[50] = odd;
      const QuantisedRows q = quantise(x, 1, 96);
      std::vector<float> y(40, 7);
      kernels::matmul({&m, 40, 96, x.values.data(), x.stride, y.data(), 40, 1, 1, false, nullptr, &q}, 0, 40);
      for (const float value : y) CHECK((finite ? value == 0 : std::isnan(value)));
    }
  });
}

TEST_CASE("rows are read back out of panels", "[runtime][unit]") {
  Random random(5);
  for (const std::uint32_t type : kTypes) {
    const PanelMatrix panels = random_matrix(random, type, false, 77, 100);
    const Matrix m = view(panels, type, false, 77, 100);
    for (std::size_t row = 0; row < 77; ++row) {
      std::vector<float> out(100);
      kernels::load_row(m, row, out.data());
      CHECK(std::equal(out.begin(), out.end(), panels.values.begin() + static_cast<long>(row * 100)));
    }
  }
}

TEST_CASE("a scale that is NaN or infinite spoils its own output and no other", "[runtime][unit]") {
  Random random(6);
  for (const std::uint32_t type : kTypes) {
    for (const std::uint16_t odd : {std::uint16_t{0x7E00}, std::uint16_t{0x7C00}}) {
      PanelMatrix panels = random_matrix(random, type, false, 40, 96);
      const Rows x(random, 9, 96);
      const Matrix sound = view(panels, type, false, 40, 96);
      const std::size_t at = sound.panel_bytes() + 2 * 17;  // block 1 of output 17
      for_each_target([&](const std::string& target, bool) {
        INFO(target << ", type " << type);
        const QuantisedRows q = quantise(x, 9, 96);
        const auto product = [&](const Matrix& m, std::uint32_t tokens) {
          std::vector<float> y(tokens * 40);
          kernels::matmul({&m, 40, 96, x.values.data(), x.stride, y.data(), 40, tokens, 1, false, nullptr, &q}, 0, 40);
          return y;
        };
        PanelMatrix spoilt = panels;
        spoilt.bytes[at] = static_cast<unsigned char>(odd & 255);
        spoilt.bytes[at + 1] = static_cast<unsigned char>(odd >> 8);
        const Matrix m = view(spoilt, type, false, 40, 96);
        for (const std::uint32_t tokens : {1u, 9u}) {
          const auto before = product(sound, tokens), after = product(m, tokens);
          for (std::size_t i = 0; i < before.size(); ++i) {
            if (i % 40 == 17)
              CHECK(!std::isfinite(after[i]));
            else
              CHECK(after[i] == before[i]);
          }
        }
      });
    }
  }
}

TEST_CASE("the codebook is the published one, ascending, and its panels are read byte by byte", "[runtime][unit]") {
  CHECK(std::equal(std::begin(elrt::format::kIq4Codebook), std::end(elrt::format::kIq4Codebook),
                   std::begin(elastify_test::kIq4Values)));
  // Output 3 has the scale 0.5; its inputs 0 and 16 share the first byte: indices 0 and 15.
  std::vector<unsigned char> panel(576, 0x88);
  std::fill_n(panel.begin(), 64, static_cast<unsigned char>(0));
  panel[7] = 0x38;
  panel[64 + 3 * 4] = 0xF0;
  Matrix m{reinterpret_cast<const std::byte*>(panel.data()), TensorType::kIq4Nl, 32, 32, 576, 576, false};
  std::vector<float> out(32);
  kernels::load_row(m, 3, out.data());
  CHECK(out[0] == -63.5f);
  CHECK(out[16] == 56.5f);
  CHECK(out[1] == 0.5f);
}
