#include "baselines/correlation.h"

#include <cmath>

#include "base/error.h"
#include "baselines/flap.h"
#include "baselines/weight_taylor.h"
#include "profile/check.h"

namespace elastify {
namespace {

using nlohmann::json;

json rounded(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

UnitScores scores_by(const std::string& name, const Decoder& decoder, const TokenRows& rows,
                     const ProfileConfig& config, std::uint64_t seed) {
  if (name == "llm-pruner") return weight_taylor_scores(decoder, rows);
  if (name == "flap") return flap_scores(decoder.weights(), activation_stats(decoder, rows));
  ProfileConfig settings = config;
  settings.method = name;
  return profile_units(decoder, rows, settings, seed).scores;
}

}  // namespace

json score_correlation(const Decoder& decoder, const TokenRows& rows, const ProfileConfig& config, std::uint64_t seed,
                       const fs::path& work, const std::string& key) {
  const std::vector<UnitRef> units = units_to_check(decoder.config(), config);
  if (units.empty()) fail_usage("--correlation: profile.check_units and check_tflop leave no unit to remove");
  const TokenRows sample = rows_to_check(rows, config);
  const AblationResult exact = ablate_units(decoder, sample, units, {work / "ablation.safetensors", key, 30, {}});
  json scores = json::array();
  for (const char* name : {"fisher", "taylor2", "taylor", "llm-pruner", "flap", "magnitude"}) {
    const RankCheck check = check_ranks(scores_by(name, decoder, sample, config, seed), units, exact.loss_change);
    json by_layer = json::array();
    for (const double layer : check.neurons) by_layer.push_back(rounded(layer));
    scores.push_back({{"score", name},
                      {"neurons_mean", rounded(check.mean_neurons())},
                      {"neurons", by_layer},
                      {"kv_groups", rounded(check.kv_groups)}});
  }
  return {{"tokens", exact.tokens}, {"units", units.size()}, {"scores", scores}};
}

std::string format_correlation(const json& result) {
  const auto number = [](const json& value) {
    return value.is_number() ? fmt::format("{:.3f}", value.get<double>()) : std::string("-");
  };
  std::string text = fmt::format(
      "rank correlation with exact ablation of {} units on {} tokens\nscore       neurons (mean of layers)  KV "
      "groups\n",
      result.at("units").get<std::int64_t>(), result.at("tokens").get<std::int64_t>());
  for (const json& score : result.at("scores")) {
    text += fmt::format("{:<10}  {:>24}  {:>9}\n", score.at("score").get<std::string>(),
                        number(score.at("neurons_mean")), number(score.at("kv_groups")));
  }
  return text;
}

}  // namespace elastify
