#include "profile/norm_factor.h"

#include <limits>

namespace elastify {
namespace {

constexpr double kLeastShare = 1e-3;

torch::ScalarType wide_type(const torch::Tensor& x) {
  return x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

// [batch, seq, 1]; above zero, so that an all-zero residual gives s = 1 and no NaN.
torch::Tensor squared_length(const torch::Tensor& x) {
  return x.to(wide_type(x)).square().sum(-1, true).clamp_min(std::numeric_limits<float>::min());
}

// s from |x|^2, x.v and |v|^2. Overwrites `v2`.
torch::Tensor factor(const torch::Tensor& x2, const torch::Tensor& dot, torch::Tensor v2) {
  v2.sub_(dot, 2).add_(x2);  // |x - v|^2
  return torch::maximum(v2, x2 * kLeastShare).rsqrt_().mul_(x2.sqrt());
}

}  // namespace

torch::Tensor scaled_neurons(const torch::Tensor& activations, const torch::Tensor& x, const BlockWeights& block,
                             ProductType products) {
  const torch::Tensor h = activations.to(wide_type(x));
  const torch::Tensor dot = linear_product(x, block.down.t(), products).to(h.scalar_type()).mul_(h);
  torch::Tensor v2 = h.square().mul_(block.down.to(h.scalar_type()).square().sum(0));
  return factor(squared_length(x), dot, v2).mul_(h);
}

torch::Tensor scaled_groups(const torch::Tensor& activations, const torch::Tensor& x, const BlockWeights& block,
                            const ModelConfig& config, ProductType products) {
  const std::int64_t batch = x.size(0), seq = x.size(1), width = config.group_width();
  const auto wide = wide_type(x);
  const torch::Tensor o = activations.to(wide);
  const auto by_group = [&](const torch::Tensor& t) { return t.reshape({batch, seq, -1, width}); };
  const torch::Tensor dot = by_group(linear_product(x, block.o.t(), products).to(wide).mul_(o)).sum(-1);
  // |W_g o_g|^2 = o_g' (W_g' W_g) o_g
  const torch::Tensor columns =
      block.o.to(wide).reshape({block.o.size(0), -1, width}).permute({1, 2, 0});  // [groups, width, hidden]
  const torch::Tensor gram = torch::matmul(columns, columns.transpose(1, 2));
  const torch::Tensor flat = by_group(o).reshape({batch * seq, -1, width}).transpose(0, 1);  // [groups, tokens, width]
  const torch::Tensor v2 = torch::matmul(flat, gram).mul_(flat).sum(-1).t().reshape({batch, seq, -1});
  const torch::Tensor s = factor(squared_length(x), dot, v2);
  return (by_group(o) * s.unsqueeze(-1)).reshape({batch, seq, -1});
}

}  // namespace elastify
