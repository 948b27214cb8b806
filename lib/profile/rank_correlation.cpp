#include "profile/rank_correlation.h"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace elastify {

std::vector<double> average_ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double mean_rank = 0.5 * static_cast<double>(begin + 1 + end);
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = mean_rank;
  }
  return ranks;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  require(a.size() == b.size(), "rank correlation: {} values against {}", a.size(), b.size());
  if (a.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> ranks_a = average_ranks(a), ranks_b = average_ranks(b);
  const auto centred = [](const std::vector<double>& ranks) {
    const Eigen::Map<const Eigen::ArrayXd> values(ranks.data(), static_cast<Eigen::Index>(ranks.size()));
    return Eigen::ArrayXd(values - values.mean());
  };
  const Eigen::ArrayXd x = centred(ranks_a), y = centred(ranks_b);
  const double scale = std::sqrt((x * x).sum() * (y * y).sum());
  return scale > 0 ? std::clamp((x * y).sum() / scale, -1.0, 1.0) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace elastify
