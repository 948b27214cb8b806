#include "reorder/plan_chart.h"

#include <fmt/format.h>

namespace elastify {
namespace {

// `widths` of a level: units kept by layer.
template <typename Widths>
HeatMap unit_map(const ElasticPlan& plan, const std::string& title, Widths widths) {
  HeatMap map{title, "layer", "level, percent of the blocks' weights", {}, {}, {}, 0, 100};
  const std::vector<std::int64_t>& whole = widths(plan.levels.back());
  for (std::size_t layer = 0; layer < whole.size(); ++layer) map.x.push_back(static_cast<double>(layer));
  for (const auto& level : plan.levels) {
    map.y.push_back(static_cast<double>(level.level));
    std::vector<double> shares;
    std::vector<std::string> counts;
    for (std::size_t layer = 0; layer < whole.size(); ++layer) {
      const std::int64_t kept = widths(level)[layer];
      shares.push_back(100 * static_cast<double>(kept) / static_cast<double>(whole[layer]));
      counts.push_back(std::to_string(kept));
    }
    map.values.push_back(shares);
    map.labels.push_back(counts);
  }
  return map;
}

}  // namespace

std::vector<Chart> plan_charts(const ElasticPlan& plan) {
  std::string anchors;
  for (const std::int64_t layer : plan.anchors) anchors += fmt::format("{}{}", anchors.empty() ? "" : ", ", layer);
  const std::string note = fmt::format("plan {}; anchor layers: {}", plan.kind, anchors.empty() ? "none" : anchors);
  return {unit_map(
              plan, fmt::format("KV groups that each level keeps, percent as colour ({})", note),
              [](const LevelPlan& level) -> const auto& { return level.widths.kv_groups; }),
          unit_map(
              plan, "Neurons that each level keeps, percent as colour",
              [](const LevelPlan& level) -> const auto& { return level.widths.neurons; })};
}

}  // namespace elastify
