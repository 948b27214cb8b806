// How well cheap scores rank units next to exact ablation, on a sample of a real model's units.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "baselines/method.h"
#include "profile/importance.h"

namespace elastify {

// Removes the units that profile.check_units and check_tflop allow, one by one, on profile.check_tokens of the
// calibration rows, and ranks them by fisher, taylor2, taylor, llm-pruner, flap and magnitude scores of the same rows:
// {tokens, units, scores: [{score, neurons_mean, neurons: [by layer], kv_groups}]}, Spearman's rank correlation; NaN
// becomes null. `work`: for progress.
nlohmann::json score_correlation(const Decoder& decoder, const TokenRows& rows, const ProfileConfig& config,
                                 std::uint64_t seed, const fs::path& work, const std::string& key);

std::string format_correlation(const nlohmann::json& result);

}  // namespace elastify
