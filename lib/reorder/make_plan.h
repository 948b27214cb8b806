// Builds the nested plan: a total order of steps, of which every level takes a prefix.
#pragma once

#include "base/torch.h"
#include "reorder/measured_config.h"
#include "reorder/plan.h"

namespace elastify {

struct PlanConfig {
  // even: one ratio for all layers that are no anchors; global: importance per weight decides; measured: see
  // measured_plan.h
  std::string kind = "even";
  // importance: every block's units, the most important first; checkpoint: where they are
  std::string order = "importance";
  std::vector<std::int64_t> levels = {20, 30, 40, 50, 60, 70, 80, 90, 100};
  std::int64_t neuron_multiple = 32;
  std::string infeasible = "give_way";  // give_way: anchors too heavy for a level are cut there; refuse: an error
  std::int64_t anchors_judged_at = 0;   // a level: so many anchors as give it the least loss; 0: all
  MeasuredConfig measured;

  template <typename V>
  void visit(V& v) {
    v.choice("kind", kind, {"even", "global", "measured"},
             "even: one ratio for all layers that are no anchors; global: importance per weight decides; measured: the "
             "loss on calibration text decides what leaves next, whole halves of layers included");
    v.choice(
        "order", order, {"importance", "checkpoint"},
        "importance: every block's units are sorted, the most important first; checkpoint: they stay where they "
        "are, and levels keep prefixes of that, to know what sorting is worth. Plans even and global have the same "
        "widths either way; measured ones measure what is there");
    v.integers("levels", levels, 1, 100, "shares of the blocks' weights, percent, rising, the last 100");
    v.integer("neuron_multiple", neuron_multiple, 1, 1 << 16,
              "neurons of every level and layer are a multiple of this");
    v.choice("infeasible", infeasible, {"give_way", "refuse"},
             "anchors too heavy for a level are cut there (give_way), or refused");
    v.integer(
        "anchors_judged_at", anchors_judged_at, 0, 99,
        "a level: of the anchors stage's layers, costliest first, as many stay whole as give this level the least "
        "loss on measured.tokens of calibration text; 0: all of them");
    v.section("measured", measured, "measurement, where kind is measured or anchors_judged_at is a level");
  }
};

// What is wrong with a plan's levels, "levels must ..."; empty: nothing.
std::vector<std::string> level_problems(const std::vector<std::int64_t>& levels);

// Importance of every layer's units, falling along each row, as they stand where they were sorted by it:
// [layers, kv_groups] and [layers, neurons].
struct SortedScores {
  torch::Tensor groups, neurons;
};

// Every layer keeps at least one KV group and one step of neurons. A step of neurons is `neuron_multiple` of them;
// where that does not divide the width, the last step is the remainder, so that counts are multiples, or the full width
// (172 neurons by 32: 32, 64, 96, 128, 160, 172). A level takes the longest prefix of steps that brings its block ratio
// nearest to its name. `kind` is even or global. Throws Error(kUsage) for levels that do not end in 100, and for
// infeasible ones under "refuse".
ElasticPlan make_plan(const ModelConfig& config, const std::vector<std::int64_t>& anchors, const SortedScores& scores,
                      const PlanConfig& settings);

}  // namespace elastify
