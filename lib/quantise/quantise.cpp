#include "quantise/quantise.h"

#include <elrt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace elastify {
namespace {

namespace format = elrt::format;
constexpr std::int64_t kSide = format::kPanelOutputs;
constexpr float kLargestHalf = 65504;

std::uint16_t half_bits(float value) { return c10::Half(value).x; }
float half_value(std::uint16_t bits) { return static_cast<float>(c10::Half(bits, c10::Half::from_bits())); }

float of_largest_magnitude(std::span<const float> weights) {
  float found = 0;
  for (const float weight : weights) found = std::abs(weight) > std::abs(found) ? weight : found;
  return found;
}

WeightBlock block_with_scale(std::span<const float> weights, std::uint16_t scale, float low, float high) {
  WeightBlock block;
  block.scale = scale;
  const float unit = half_value(scale), inverse = unit == 0 ? 0 : 1 / unit;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    block.q[i] = static_cast<std::int8_t>(std::clamp(std::nearbyint(weights[i] * inverse), low, high));
  }
  return block;
}

double squared_error(std::span<const float> weights, const WeightBlock& block) {
  const float unit = block_scale(block);
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double change = static_cast<double>(weights[i]) - static_cast<double>(unit) * block.q[i];
    sum += change * change;
  }
  return sum;
}

// float16 rounds the scale of tiny weights so coarsely that 127 of it may not reach the largest: then the next one up.
WeightBlock quantise_q8(std::span<const float> weights) {
  const float largest = std::abs(of_largest_magnitude(weights));
  std::uint16_t scale = half_bits(largest / 127);
  if (largest > 127.5f * half_value(scale)) ++scale;
  return block_with_scale(weights, scale, -127, 127);
}

// Scales that put the weight of largest magnitude near -8, or near 7, of them; clipping it a little often pays.
WeightBlock quantise_q4(std::span<const float> weights) {
  constexpr float kPlain = -8;
  constexpr float kDivisors[] = {-9.2f, -8.8f, -8.4f, -7.7f, -7.3f, -6.9f, -6.5f, 6.2f, 6.6f, 7.0f, 7.4f, 7.8f};
  const float extreme = of_largest_magnitude(weights);
  WeightBlock best = block_with_scale(weights, half_bits(extreme / kPlain), -8, 7);
  double least = squared_error(weights, best);
  for (const float divisor : kDivisors) {
    const WeightBlock tried = block_with_scale(weights, half_bits(extreme / divisor), -8, 7);
    const double error = squared_error(weights, tried);
    if (error < least) least = error, best = tried;
  }
  return best;
}

struct PanelPlace {
  std::uint8_t* panel;
  std::int64_t output;  // within the panel
};

void store_block(const WeightBlock& block, elrt::TensorType type, PanelPlace at) {
  at.panel[2 * at.output] = static_cast<std::uint8_t>(block.scale & 255);
  at.panel[2 * at.output + 1] = static_cast<std::uint8_t>(block.scale >> 8);
  for (std::int64_t input = 0; input < kSide; ++input) {
    const auto slot = [&](std::int64_t i) -> std::uint8_t& {
      return at.panel[format::kPanelScaleBytes + (i / 4 * kSide + at.output) * 4 + i % 4];
    };
    if (type == elrt::TensorType::kQ8_0)
      slot(input) = static_cast<std::uint8_t>(block.q[input] + 128);
    else if (input < 16)
      slot(input) = static_cast<std::uint8_t>((block.q[input] + 8) | (block.q[input + 16] + 8) << 4);
  }
}

std::size_t panel_bytes(elrt::TensorType type) {
  return type == elrt::TensorType::kQ8_0 ? format::kQ8PanelBytes : format::kQ4PanelBytes;
}

// Calls body(output, block index, weights of the block) for every block of the matrix.
template <typename Body>
void for_each_block(const torch::Tensor& matrix, const Body& body) {
  const std::int64_t outputs = matrix.size(0), inputs = matrix.size(1);
  const float* weights = matrix.data_ptr<float>();
  for (std::int64_t output = 0; output < outputs; ++output) {
    for (std::int64_t first = 0; first < inputs; first += kSide) {
      body(output, first / kSide,
           std::span(weights + output * inputs + first, static_cast<std::size_t>(std::min(kSide, inputs - first))));
    }
  }
}

void check_matrix(const torch::Tensor& matrix, elrt::TensorType type) {
  require(matrix.dim() == 2 && matrix.scalar_type() == torch::kFloat32 && matrix.is_cpu() && matrix.is_contiguous() &&
              (type == elrt::TensorType::kQ8_0 || type == elrt::TensorType::kQ4_0),
          "quantise: expected a contiguous float32 matrix on the CPU, and Q8_0 or Q4_0");
}

}  // namespace

WeightBlock quantise_block(std::span<const float> weights, elrt::TensorType type) {
  return type == elrt::TensorType::kQ8_0 ? quantise_q8(weights) : quantise_q4(weights);
}

float block_scale(const WeightBlock& block) { return half_value(block.scale); }

std::vector<std::int64_t> panel_shape(std::int64_t outputs, std::int64_t inputs, PanelOrder order) {
  const std::int64_t across = (inputs + kSide - 1) / kSide, down = (outputs + kSide - 1) / kSide;
  if (order == PanelOrder::kRows) return {down, across, kSide, kSide};
  return {across, down, kSide, kSide};
}

QuantisedMatrix quantise_matrix(const torch::Tensor& matrix, elrt::TensorType type, PanelOrder order,
                                const std::string& name) {
  check_matrix(matrix, type);
  const float largest_allowed =
      kLargestHalf * (type == elrt::TensorType::kQ8_0 ? 127 : 6);  // the smallest divisor tried
  const auto shape = panel_shape(matrix.size(0), matrix.size(1), order);
  const auto bytes_each = static_cast<std::int64_t>(panel_bytes(type));
  QuantisedMatrix result{torch::empty({shape[0] * shape[1] * bytes_each}, torch::kUInt8), 0};
  auto* bytes = result.bytes.data_ptr<std::uint8_t>();
  const WeightBlock nothing;
  for (std::int64_t panel = 0; panel < shape[0] * shape[1]; ++panel) {
    for (std::int64_t output = 0; output < kSide; ++output)
      store_block(nothing, type, {bytes + panel * bytes_each, output});
  }
  double error = 0, total = 0;
  for_each_block(matrix, [&](std::int64_t output, std::int64_t index, std::span<const float> weights) {
    if (std::abs(of_largest_magnitude(weights)) > largest_allowed) {
      fail_data("tensor {} holds values beyond {}, which a float16 scale of {} cannot reach: pack with dtype f32", name,
                largest_allowed, elrt::type_name(type));
    }
    const WeightBlock block = quantise_block(weights, type);
    error += squared_error(weights, block);
    for (const float weight : weights) total += static_cast<double>(weight) * weight;
    const std::int64_t panel =
        order == PanelOrder::kRows ? output / kSide * shape[1] + index : index * shape[1] + output / kSide;
    store_block(block, type, {bytes + panel * bytes_each, output % kSide});
  });
  result.relative_rms_error = total == 0 ? 0 : std::sqrt(error / total);
  return result;
}

torch::Tensor dequantised(const torch::Tensor& matrix, elrt::TensorType type) {
  check_matrix(matrix, type);
  torch::Tensor result = torch::empty_like(matrix);
  float* out = result.data_ptr<float>();
  for_each_block(matrix, [&](std::int64_t, std::int64_t, std::span<const float> weights) {
    const WeightBlock block = quantise_block(weights, type);
    const float unit = block_scale(block);
    for (std::size_t i = 0; i < weights.size(); ++i) *out++ = unit * static_cast<float>(block.q[i]);
  });
  return result;
}

}  // namespace elastify
