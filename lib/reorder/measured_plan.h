// Plans by measurement: units leave in the order in which their loss on calibration text says so.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/plot.h"
#include "data/dataset.h"
#include "model/decoder.h"
#include "reorder/measured_config.h"
#include "reorder/plan.h"
#include "reorder/removal.h"

namespace elastify {

struct MeasuredPlan {
  ElasticPlan plan;  // anchors: the layers that the smallest level leaves whole
  Removal removal;
  std::int64_t tokens = 0;  // predictions measured on
};

// Where a search keeps its progress: the losses that were measured, in order. A killed one goes through the same
// choices again without measuring, to the same plan.
struct MeasuredProgress {
  fs::path path;    // empty: none is kept
  std::string key;  // what the losses depend on next to weights, text and settings given here
  double every_s = 30;
  std::function<void(std::int64_t losses)> after_save{};  // may throw, which ends the search there
};

// What cuts save, from the settings. bytes_per_weight: of a matrix in the artifact, for `per` latency.
RemovalRule removal_rule(const ModelConfig& model, const MeasuredConfig& config,
                         const std::vector<std::int64_t>& levels, std::int64_t neuron_multiple,
                         double bytes_per_weight);

// `weights`: the full model with its units in their new order. `rows`: calibration text. Throws Error(kUsage) for
// levels that cannot be met and Error(kBadData) for rows of fewer tokens than asked for.
MeasuredPlan measure_plan(const ModelWeights& weights, const TokenRows& rows, const MeasuredConfig& config,
                          const RemovalRule& rule, ProductType products, const MeasuredProgress& progress = {});

// {per, measure, tokens, neuron_block, evaluations, base_loss, cuts: [{layer, kind, kv_groups, neurons, weights,
// block_ratio, loss}], levels: [{level, cuts, block_ratio, loss}]}; no figure depends on the clock.
json measured_plan_to_json(const MeasuredPlan& plan, const ModelConfig& model, const MeasuredConfig& config,
                           const RemovalRule& rule);
// Loss against the share of the blocks' weights that is kept, a point for each cut, levels marked.
Plot measured_plan_chart(const MeasuredPlan& plan, const ModelConfig& model, const MeasuredConfig& config);

}  // namespace elastify
