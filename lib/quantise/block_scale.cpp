#include "quantise/block_scale.h"

#include <elrt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/torch.h"

namespace elastify {
namespace {

using elrt::TensorType;
using elrt::format::kIq4Codebook;
constexpr std::size_t kSize = 32;
constexpr float kLargestHalf = 65504;

std::uint16_t half_bits(float value) { return c10::Half(value).x; }
float half_value(std::uint16_t bits) { return static_cast<float>(c10::Half(bits, c10::Half::from_bits())); }

// A block filled up with zeros of no importance. Loops over all 32 become vector instructions.
struct Padded {
  std::array<float, kSize> weights{}, importance{};
};

// To the nearest integer, ties to even; |value| < 2^22.
float round_small(float value) {
  constexpr float kShift = 0x1.8p23f;
  return (value + kShift) - kShift;
}

template <TensorType kType>
float nearest(float ratio) {
  if constexpr (kType == TensorType::kQ8_0) return round_small(std::clamp(ratio, -127.0f, 127.0f));
  if constexpr (kType == TensorType::kQ4_0) return round_small(std::clamp(ratio, -8.0f, 7.0f));
  float value = kIq4Codebook[0];
  for (std::size_t i = 1; i < 16; ++i) {
    const auto low = static_cast<float>(kIq4Codebook[i - 1]), high = static_cast<float>(kIq4Codebook[i]);
    value += ratio > 0.5f * (low + high) ? high - low : 0.0f;
  }
  return value;
}

// A scale with the weights rounded to it, and what that changes.
struct Attempt {
  std::uint16_t scale = 0;
  std::array<float, kSize> q{};
  double error = 0;
};

template <TensorType kType>
Attempt round_to(const Padded& block, std::uint16_t scale) {
  Attempt made;
  made.scale = scale;
  const float unit = half_value(scale), inverse = unit == 0 ? 0 : 1 / unit;
  for (std::size_t i = 0; i < kSize; ++i) made.q[i] = nearest<kType>(block.weights[i] * inverse);
  double sums[8] = {};
  for (std::size_t i = 0; i < kSize; ++i) {
    const double change =
        static_cast<double>(block.weights[i]) - static_cast<double>(unit) * static_cast<double>(made.q[i]);
    sums[i % 8] += static_cast<double>(block.importance[i]) * change * change;
  }
  for (const double sum : sums) made.error += sum;
  return made;
}

// The scale of least error for these q; 0 where they say nothing.
std::uint16_t fitted_scale(const Padded& block, const std::array<float, kSize>& q) {
  double products = 0, squares = 0;
  for (std::size_t i = 0; i < kSize; ++i) {
    const double weighted = static_cast<double>(block.importance[i]) * static_cast<double>(q[i]);
    products += weighted * static_cast<double>(block.weights[i]);
    squares += weighted * static_cast<double>(q[i]);
  }
  return squares > 0 ? half_bits(static_cast<float>(products / squares)) : std::uint16_t{0};
}

float of_largest_magnitude(std::span<const float> weights) {
  float found = 0;
  for (const float weight : weights) found = std::abs(weight) > std::abs(found) ? weight : found;
  return found;
}

// `divisors` of the weight of largest magnitude: each is where in q's range that weight comes to lie.
template <TensorType kType, std::size_t kCount>
Attempt search(const Padded& block, std::uint16_t plain, float extreme, const float (&divisors)[kCount]) {
  Attempt best = round_to<kType>(block, plain);
  const auto compare = [&](const Attempt& tried) {
    if (tried.error < best.error) best = tried;
  };
  const auto fit = [&](const Attempt& start) { compare(round_to<kType>(block, fitted_scale(block, start.q))); };
  fit(best);
  for (const float divisor : divisors) {
    const Attempt tried = round_to<kType>(block, half_bits(extreme / divisor));
    compare(tried);
    fit(tried);
  }
  fit(best);
  return best;
}

// float16 rounds the scale of tiny weights so coarsely that 127 of it may not reach the largest: then the next one up.
std::uint16_t plain_q8_scale(float extreme) {
  const float largest = std::abs(extreme);
  std::uint16_t scale = half_bits(largest / 127);
  if (largest > 127.5f * half_value(scale)) ++scale;
  return scale;
}

Attempt best_of(const Padded& block, TensorType type, float extreme, bool weighted) {
  constexpr float kQ8[] = {129, 132};
  constexpr float kQ4[] = {-9.2f, -8.6f, -7.6f, -7.0f, -6.5f, 6.2f, 6.8f, 7.4f};
  constexpr float kIq4[] = {-140, -118, -108, -98, 98, 106, 116, 128};
  switch (type) {
    case TensorType::kQ8_0:
      return weighted ? search<TensorType::kQ8_0>(block, plain_q8_scale(extreme), extreme, kQ8)
                      : round_to<TensorType::kQ8_0>(block, plain_q8_scale(extreme));
    case TensorType::kQ4_0:
      return search<TensorType::kQ4_0>(block, half_bits(extreme / -8), extreme, kQ4);
    default:
      return search<TensorType::kIq4Nl>(block, half_bits(extreme / -127), extreme, kIq4);
  }
}

}  // namespace

WeightBlock quantise_block(std::span<const float> weights, TensorType type, std::span<const float> importance) {
  Padded padded;
  std::copy(weights.begin(), weights.end(), padded.weights.begin());
  // Importance of nothing but zeros tells no scale from another.
  const bool weighted = std::any_of(importance.begin(), importance.end(), [](float value) { return value > 0; });
  if (weighted)
    std::copy(importance.begin(), importance.end(), padded.importance.begin());
  else
    std::fill_n(padded.importance.begin(), weights.size(), 1.0f);
  const Attempt best = best_of(padded, type, of_largest_magnitude(weights), weighted);
  WeightBlock block;
  block.scale = best.scale;
  for (std::size_t i = 0; i < weights.size(); ++i) block.q[i] = static_cast<std::int8_t>(best.q[i]);
  return block;
}

float block_scale(const WeightBlock& block) { return half_value(block.scale); }

int nearest_q(float ratio, TensorType type) {
  if (type == TensorType::kQ8_0) return static_cast<int>(nearest<TensorType::kQ8_0>(ratio));
  if (type == TensorType::kQ4_0) return static_cast<int>(nearest<TensorType::kQ4_0>(ratio));
  return static_cast<int>(nearest<TensorType::kIq4Nl>(ratio));
}

float largest_weight(TensorType type) {  // by the smallest divisor tried
  return kLargestHalf * (type == TensorType::kQ8_0 ? 127 : type == TensorType::kQ4_0 ? 6 : 98);
}

}  // namespace elastify
