#include "export/rope_factors.h"

#include "model/decoder.h"

namespace elastify {

torch::Tensor rope_factors(const ModelConfig& config) {
  const RopeScaling::Kind kind = config.rope_scaling.kind;
  if (kind == RopeScaling::Kind::kNone || kind == RopeScaling::Kind::kLongRope) return {};
  ModelConfig plain = config;
  plain.rope_scaling = {};
  return (rotary_frequencies(plain) / rotary_frequencies(config)).to(torch::kFloat32);
}

RopeScaling scaling_of(const ModelConfig& config, const torch::Tensor& factors) {
  const double largest = factors.max().item<double>();
  ModelConfig tried = config;
  const auto fits = [&] { return torch::allclose(rope_factors(tried), factors, 1e-6, 0); };
  tried.rope_scaling = {RopeScaling::Kind::kLinear, largest};
  if (largest >= 1 && fits()) return tried.rope_scaling;
  for (std::int64_t original = 16; original <= std::int64_t{1} << 24; original *= 2) {
    tried.rope_scaling = {RopeScaling::Kind::kLlama3, largest, 1, 4, original};
    if (largest >= 1 && fits()) return tried.rope_scaling;
  }
  return {};
}

}  // namespace elastify
