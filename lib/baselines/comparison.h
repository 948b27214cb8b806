// From single results to what they say together: equal data, equal latency, equal bytes.
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

#include "base/plot.h"

namespace elastify {

// A method's loss by what it costs, both rising in no particular order.
struct CostCurve {
  std::vector<double> cost, loss;
};
// Linear between the neighbouring costs; nothing outside them. Of equal costs the lower loss counts.
std::optional<double> loss_at(CostCurve curve, double cost);

// Throws Error(kBadData) naming the first result whose training rows, order of rows, held-out rows, texts or training
// tokens are not those of the others at its level. Results that say nothing of training (bounds) are compared by text
// alone.
void require_equal_data(const nlohmann::json& results);

// For each level of `ours` and each of tpot_share, ttft_share and bytes_share: every other method's loss at that cost,
// before and after recovery, by text: [{level, axis, cost, text, when, ours, others: {METHOD: loss or null}}]. null:
// the method's curve does not reach that cost. `full`: {losses: {TEXT: loss}}, the point at cost 1 that all curves
// share.
nlohmann::json compare_at_equal_cost(const nlohmann::json& results, const nlohmann::json& full);

// For each text, loss against time per output token before and after recovery, and against time to the first token and
// bytes after it.
std::vector<Chart> baseline_charts(const nlohmann::json& results, const nlohmann::json& full);

// Tables for people: every result, then the comparison.
std::string format_baselines(const nlohmann::json& document);

}  // namespace elastify
