// How well estimated importance ranks units: a sample of them is removed for real and the two rankings are compared.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "profile/importance.h"
#include "profile/score_store.h"

namespace elastify {

// Units to remove: config.check_units neurons of each layer, evenly spaced over the layer, and of all KV groups at most
// 4 * check_units, evenly spaced too; fewer in proportion where config.check_tflop would be exceeded, none if that
// leaves less than 8 neurons a layer.
std::vector<UnitRef> units_to_check(const ModelConfig& model, const ProfileConfig& config);

// The first rows of `rows` that hold at most config.check_tokens tokens; at least one row.
TokenRows rows_to_check(const TokenRows& rows, const ProfileConfig& config);

// Spearman's rank correlation of estimated with exact loss changes; NaN where fewer than two units were checked.
struct RankCheck {
  std::vector<double> neurons;  // of each layer
  double kv_groups = 0;         // pooled over layers
  double mean_neurons() const;  // over the layers
};
RankCheck check_ranks(const UnitScores& scores, const std::vector<UnitRef>& units,
                      const std::vector<double>& loss_change);

// What the stage reports: method, tokens, mean_loss, seconds, tokens_per_s, and check {tokens, units, spearman_neurons
// [layers], spearman_neurons_mean, spearman_kv_groups}, absent where nothing was checked. NaN is written as null.
//
// `check_scores`: the same method on the rows that were ablated. An estimate is compared with the truth on the same
// text: on other text, exact ablation itself agrees with itself far less (README, "Importance").
nlohmann::json profile_summary(const Profile& profile, const UnitScores& check_scores, double seconds);

}  // namespace elastify
