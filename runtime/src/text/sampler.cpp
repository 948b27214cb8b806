#include "elrt/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/random.hpp"

namespace elrt {

Result<Sampler> Sampler::create(const SamplerOptions& options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    return invalid_argument("temperature is " + std::to_string(options.temperature) + ", expected 0 or more");
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return invalid_argument("top-p is " + std::to_string(options.top_p) + ", expected above 0 and at most 1");
  }
  if (!(options.min_p >= 0 && options.min_p <= 1)) {
    return invalid_argument("min-p is " + std::to_string(options.min_p) + ", expected 0 to 1");
  }
  return Sampler(options);
}

double Sampler::uniform() { return next_uniform(state_); }

void Sampler::keep_top_k() {
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  if (options_.top_k != 0 && options_.top_k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + options_.top_k, candidates_.end(), better);
    candidates_.resize(options_.top_k);
  }
  std::sort(candidates_.begin(), candidates_.end(), better);
}

// Candidates are sorted, best first; weights are relative to the best.
void Sampler::keep_probable() {
  weights_.clear();
  for (const Candidate& c : candidates_) {
    weights_.push_back(std::exp((static_cast<double>(c.logit) - candidates_[0].logit) / options_.temperature));
  }
  std::size_t kept = weights_.size();
  if (options_.top_p < 1) {
    const double goal = options_.top_p * std::accumulate(weights_.begin(), weights_.end(), 0.0);
    double sum = weights_[0];
    for (kept = 1; kept < weights_.size() && sum < goal; ++kept) sum += weights_[kept];
  }
  while (kept > 1 && weights_[kept - 1] < options_.min_p) --kept;
  weights_.resize(kept);
}

Result<std::int32_t> Sampler::sample(std::span<const float> logits) {
  candidates_.clear();
  std::size_t best = 0;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    if (std::isnan(logits[id]))
      return bad_data(
          "the model computed NaN logits; its weights are damaged (elrt_engine_verify or elastify inspect finds them)");
    if (logits[id] > logits[best]) best = id;
  }
  if (logits.empty() || !std::isfinite(logits[best]))
    return bad_data("the model computed no finite logit; its weights are damaged");
  if (options_.temperature == 0) return static_cast<std::int32_t>(best);
  for (std::size_t id = 0; id < logits.size(); ++id) candidates_.push_back({logits[id], static_cast<std::int32_t>(id)});
  keep_top_k();
  keep_probable();
  double target = uniform() * std::accumulate(weights_.begin(), weights_.end(), 0.0);
  std::size_t chosen = 0;
  while (chosen + 1 < weights_.size() && target >= weights_[chosen]) target -= weights_[chosen++];
  return candidates_[chosen].id;
}

}  // namespace elrt
