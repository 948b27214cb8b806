#include "profile/check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "profile/rank_correlation.h"

namespace elastify {
namespace {

constexpr std::int64_t kFewestNeurons = 8;  // a rank correlation over fewer says nothing
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// `count` of 0..total-1, evenly spaced, ascending, distinct.
std::vector<std::int64_t> evenly_spaced(std::int64_t count, std::int64_t total) {
  std::vector<std::int64_t> picked;
  for (std::int64_t i = 0; i < std::min(count, total); ++i) picked.push_back(count >= total ? i : i * total / count);
  return picked;
}

nlohmann::json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

}  // namespace

std::vector<UnitRef> units_to_check(const ModelConfig& model, const ProfileConfig& config) {
  std::int64_t neurons = std::min(config.check_units, model.intermediate_size);
  std::int64_t groups = std::min(4 * config.check_units, model.num_layers * model.num_kv_heads);
  const double flop = ablation_flop(model, neurons * model.num_layers + groups, config.check_tokens);
  if (flop > config.check_tflop * 1e12) {
    const double share = config.check_tflop * 1e12 / flop;
    neurons = static_cast<std::int64_t>(static_cast<double>(neurons) * share);
    groups = static_cast<std::int64_t>(static_cast<double>(groups) * share);
    if (neurons < kFewestNeurons) return {};
  }
  std::vector<UnitRef> units;
  for (const std::int64_t i : evenly_spaced(groups, model.num_layers * model.num_kv_heads)) {
    units.push_back({i / model.num_kv_heads, UnitKind::kGroup, i % model.num_kv_heads});
  }
  for (std::int64_t layer = 0; layer < model.num_layers; ++layer) {
    for (const std::int64_t i : evenly_spaced(neurons, model.intermediate_size))
      units.push_back({layer, UnitKind::kNeuron, i});
  }
  return units;
}

TokenRows rows_to_check(const TokenRows& rows, const ProfileConfig& config) {
  const std::int64_t count =
      std::clamp<std::int64_t>(config.check_tokens / std::max<std::int64_t>(1, rows.seq()), 1, rows.rows());
  return {rows.inputs.narrow(0, 0, count), rows.targets.narrow(0, 0, count)};
}

double RankCheck::mean_neurons() const {
  double sum = 0;
  for (const double layer : neurons) sum += layer;
  return neurons.empty() ? kNaN : sum / static_cast<double>(neurons.size());
}

RankCheck check_ranks(const UnitScores& scores, const std::vector<UnitRef>& units,
                      const std::vector<double>& loss_change) {
  const auto layers = static_cast<std::size_t>(scores.neurons.size(0));
  std::vector<std::vector<double>> estimated(layers + 1), exact(layers + 1);  // the last holds the KV groups
  const auto neurons = scores.neurons.accessor<double, 2>(), groups = scores.groups.accessor<double, 2>();
  for (std::size_t i = 0; i < units.size(); ++i) {
    const bool neuron = units[i].kind == UnitKind::kNeuron;
    const std::size_t set = neuron ? static_cast<std::size_t>(units[i].layer) : layers;
    estimated[set].push_back((neuron ? neurons : groups)[units[i].layer][units[i].index]);
    exact[set].push_back(loss_change[i]);
  }
  RankCheck check;
  for (std::size_t layer = 0; layer < layers; ++layer)
    check.neurons.push_back(spearman(estimated[layer], exact[layer]));
  check.kv_groups = spearman(estimated[layers], exact[layers]);
  return check;
}

nlohmann::json profile_summary(const Profile& profile, const UnitScores& check_scores, double seconds) {
  nlohmann::json summary = {
      {"method", profile.method}, {"tokens", profile.tokens}, {"mean_loss", profile.mean_loss}, {"seconds", seconds}};
  if (seconds > 0) summary["tokens_per_s"] = static_cast<double>(profile.tokens) / seconds;
  if (profile.checked.empty()) return summary;
  const RankCheck check = check_ranks(check_scores, profile.checked, profile.checked_change);
  nlohmann::json neurons = nlohmann::json::array();
  for (const double layer : check.neurons) neurons.push_back(number_or_null(layer));
  summary["check"] = {{"tokens", profile.checked_tokens},
                      {"units", profile.checked.size()},
                      {"spearman_neurons", neurons},
                      {"spearman_neurons_mean", number_or_null(check.mean_neurons())},
                      {"spearman_kv_groups", number_or_null(check.kv_groups)}};
  return summary;
}

}  // namespace elastify
