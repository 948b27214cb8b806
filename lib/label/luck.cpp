#include "label/luck.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace elastify {
namespace {

// Of every task the largest `score` among feasible decisions: its values in `of`, averaged over equals. 0 where nothing
// is feasible.
torch::Tensor value_of_best(const torch::Tensor& score, const torch::Tensor& feasible, const torch::Tensor& of) {
  const torch::Tensor allowed = score.masked_fill(~feasible, -std::numeric_limits<double>::infinity());
  const torch::Tensor best = (allowed == allowed.amax(1, true)) & feasible;
  return (of * best).sum(1) / best.sum(1).clamp_min(1);
}

}  // namespace

BestDecision best_decision(const torch::Tensor& right, const torch::Tensor& feasible, const torch::Tensor& prior) {
  require(right.dim() == 3 && right.size(1) >= 2, "the corrected bound needs two repeats or more");
  const torch::Tensor hits = right.to(torch::kFloat64), all = hits.sum(1);
  const std::int64_t repeats = right.size(1);
  BestDecision best;
  best.hindsight = (right.select(1, 0) & feasible).any(1).to(torch::kFloat64);
  best.at_most = value_of_best(all, feasible, all / static_cast<double>(repeats));
  best.corrected = torch::zeros({right.size(0)}, torch::kFloat64);
  for (std::int64_t r = 0; r < repeats; ++r) {
    const torch::Tensor judged = hits.select(1, r);
    best.corrected += value_of_best(all - judged + prior, feasible, judged) / static_cast<double>(repeats);
  }
  return best;
}

MeanError mean_error(const torch::Tensor& values) {
  const auto count = static_cast<double>(values.numel());
  if (values.numel() == 0) return {};
  return {values.mean().item<double>(), values.numel() < 2 ? 0 : values.std().item<double>() / std::sqrt(count)};
}

}  // namespace elastify
