// Which units each level keeps: prefixes that nest, with ratios that count what is really kept.
#pragma once

#include <string>
#include <vector>

#include "model/weights.h"

namespace elastify {

struct LevelPlan {
  std::int64_t level = 100;  // percent of the blocks' weights that the level aims at
  LevelWidths widths;
  double block_ratio = 1;         // kept share of the transformer blocks' weights, anchors and norms included (those
                                  // of empty halves too)
  double total_ratio = 1;         // the same over all weights, embedding and LM head included
  bool anchors_give_way = false;  // the anchors alone are too heavy for this level, so they are cut as well
};

struct ElasticPlan {
  std::string kind;  // even, global or measured
  std::int64_t neuron_multiple = 32;
  std::vector<std::int64_t> anchors;              // layer indexes, ascending
  std::vector<LevelPlan> levels;                  // ascending; the last is 100
  const LevelPlan& at(std::int64_t level) const;  // throws Error(kUsage) if the plan has no such level
};

double block_ratio(const ModelConfig& config, const LevelWidths& widths);
double total_ratio(const ModelConfig& config, const LevelWidths& widths);

// And its picture next to it: plan.svg for plan.json (plan_chart.h).
void save_plan(const fs::path& path, const ElasticPlan& plan);
// Throws Error(kBadData) if the plan does not fit `config` or does not nest.
ElasticPlan load_plan(const fs::path& path, const ModelConfig& config);

}  // namespace elastify
