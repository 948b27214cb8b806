#include "reorder/permutation.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace elastify {

Permutation::Permutation(std::vector<std::int64_t> order) : order_(std::move(order)) {
  std::vector<bool> seen(order_.size(), false);
  for (const std::int64_t old : order_) {
    require(old >= 0 && old < size() && !seen[static_cast<std::size_t>(old)],
            "not a permutation of {} units: {} is out of range or comes twice", size(), old);
    seen[static_cast<std::size_t>(old)] = true;
  }
}

Permutation Permutation::identity(std::int64_t size) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  return Permutation(std::move(order));
}

Permutation Permutation::by_falling_score(const torch::Tensor& scores) {
  const torch::Tensor values = scores.to(torch::kCPU, torch::kFloat64).contiguous();
  if (!torch::isfinite(values).all().item<bool>())
    fail_data("cannot order units: a score is NaN or infinite; profile again");
  const double* score = values.data_ptr<double>();
  std::vector<std::int64_t> order = identity(values.numel()).order_;
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return score[a] > score[b]; });
  return Permutation(std::move(order));
}

Permutation Permutation::inverse() const {
  std::vector<std::int64_t> inverse(order_.size());
  for (std::size_t i = 0; i < order_.size(); ++i)
    inverse[static_cast<std::size_t>(order_[i])] = static_cast<std::int64_t>(i);
  return Permutation(std::move(inverse));
}

torch::Tensor Permutation::apply(const torch::Tensor& tensor, std::int64_t dim, std::int64_t unit_width) const {
  require(tensor.size(dim) == size() * unit_width, "cannot permute {} units of width {} along an extent of {}", size(),
          unit_width, tensor.size(dim));
  const torch::Tensor units = torch::tensor(order_, torch::kInt64).unsqueeze(1) * unit_width;
  const torch::Tensor entries = (units + torch::arange(unit_width).unsqueeze(0)).reshape({-1}).to(tensor.device());
  return tensor.index_select(dim, entries);
}

}  // namespace elastify
