#include "quantise/matrix_guide.h"

#include <algorithm>

#include "base/error.h"

namespace elastify {
namespace {

constexpr double kDamping = 0.01;

torch::Tensor with_damping(const torch::Tensor& moments, double share) {
  const double mean = std::max(moments.diagonal().mean().item<double>(), 1e-30);
  return moments + share * mean * torch::eye(moments.size(0), moments.options());
}

// Row i of U / U[i][i] beyond the diagonal, U' U = moments^-1.
torch::Tensor carry_of(torch::Tensor moments) {
  for (;; moments = with_damping(moments, 1)) {
    const auto [lower, failed] = torch::linalg_cholesky_ex(moments);
    if (failed.item<int>() != 0) continue;
    const auto [factor, failed_again] = torch::linalg_cholesky_ex(torch::cholesky_inverse(lower));
    if (failed_again.item<int>() != 0) continue;
    const torch::Tensor upper = factor.t();
    return (upper / upper.diagonal().unsqueeze(1)).triu(1).to(torch::kFloat32);
  }
}

}  // namespace

MatrixGuide make_guide(const torch::Tensor& moments, const std::vector<std::int64_t>& edges, bool carry) {
  if (!torch::isfinite(moments).all().item<bool>())
    fail_data("the calibration text's activations are not finite; set pack.calibration_tokens to 0");
  const std::int64_t inputs = moments.size(0);
  MatrixGuide guide;
  guide.importance = torch::zeros({inputs}, torch::kFloat32);
  if (carry) guide.carry = torch::zeros({inputs, inputs}, torch::kFloat32);
  std::vector<std::int64_t> ends = edges;
  ends.push_back(inputs);
  std::int64_t first = 0;
  for (const std::int64_t end : ends) {
    if (end <= first || end > inputs) continue;
    const auto part = [&](const torch::Tensor& t) {
      return t.narrow(0, first, end - first).narrow(1, first, end - first);
    };
    const torch::Tensor damped = with_damping(part(moments).to(torch::kFloat64), kDamping);
    guide.importance.narrow(0, first, end - first).copy_(damped.diagonal());
    if (carry) part(guide.carry).copy_(carry_of(damped));
    first = end;
  }
  return guide;
}

}  // namespace elastify
