#include "tlm/slo_tokens.h"

#include <ATen/CPUGeneratorImpl.h>

#include "base/error.h"
#include "base/hash.h"

namespace elastify {
namespace {

void check_levels(const char* name, const std::vector<std::int64_t>& levels) {
  if (levels.empty()) fail_usage("{}: expected at least one level, found none", name);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (levels[i] < 1 || levels[i] > 100 || (i > 0 && levels[i] <= levels[i - 1])) {
      fail_usage("{}: expected strictly rising percentages in [1, 100], found [{}]", name, fmt::join(levels, ", "));
    }
  }
}

// Index of the highest level at or below `ratio`, or 0.
std::int64_t level_index(const char* name, const std::vector<std::int64_t>& levels, double ratio) {
  if (!(ratio > 0)) fail_usage("{} of an SLO: expected a ratio above 0, found {}", name, ratio);
  constexpr double kRounding = 1e-9;  // 0.3 * 100 is a little below 30
  std::size_t index = 0;
  while (index + 1 < levels.size() && static_cast<double>(levels[index + 1]) <= ratio * 100 + kRounding) ++index;
  return static_cast<std::int64_t>(index);
}

}  // namespace

SloTokens::SloTokens(std::int64_t vocab_size, std::vector<std::int64_t> ttft_levels,
                     std::vector<std::int64_t> tpot_levels)
    : vocab_size_(vocab_size), ttft_levels_(std::move(ttft_levels)), tpot_levels_(std::move(tpot_levels)) {
  check_levels("ttft_levels", ttft_levels_);
  check_levels("tpot_levels", tpot_levels_);
}

SloIds SloTokens::ids(double ttft_ratio, double tpot_ratio) const {
  const std::int64_t first_tpot = vocab_size_ + static_cast<std::int64_t>(ttft_levels_.size());
  return {vocab_size_ + level_index("TTFT", ttft_levels_, ttft_ratio),
          first_tpot + level_index("TPOT", tpot_levels_, tpot_ratio)};
}

std::vector<std::string> SloTokens::names() const {
  std::vector<std::string> names;
  for (const auto level : ttft_levels_) names.push_back(fmt::format("[TTFT {}]", level));
  for (const auto level : tpot_levels_) names.push_back(fmt::format("<TPOT {}>", level));
  return names;
}

torch::Tensor orthogonal_rows(std::int64_t count, std::int64_t width, double norm, std::uint64_t seed) {
  if (count > width)
    fail_usage("{} SLO tokens cannot be mutually orthogonal in {} dimensions: use fewer levels or a wider embedding",
               count, width);
  torch::NoGradGuard no_grad;
  auto generator = at::detail::createCPUGenerator(derive_seed(seed, "slo_tokens"));
  torch::Tensor rows = torch::empty({count, width}, torch::kFloat64).normal_(0, 1, generator);
  // Gram-Schmidt; the second pass removes what rounding left of the first ("twice is enough", Giraud et al. 2005).
  for (std::int64_t i = 0; i < count; ++i) {
    torch::Tensor row = rows[i];
    const torch::Tensor before = rows.narrow(0, 0, i);
    for (int pass = 0; pass < 2; ++pass) row = row - torch::matmul(before.t(), torch::matmul(before, row));
    rows[i].copy_(row / row.norm());
  }
  return (rows * norm).to(torch::kFloat32);
}

}  // namespace elastify
