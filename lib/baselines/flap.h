// FLAP (An et al. 2024): units whose activations fluctuate least are removed, and their mean goes on as a bias.
#pragma once

#include "baselines/activation_stats.h"
#include "profile/importance.h"
#include "reorder/reorder.h"

namespace elastify {

// Var(x_j) |W_:j|^2 for every input j of o_proj and down_proj, squared for o_proj; standardised within each layer
// (mean 0, standard deviation 1 over the inputs); a KV group has the mean of its inputs. Comparable across layers.
UnitScores flap_scores(const ModelWeights& weights, const ActivationStats& stats);

// Keeps the units with the highest scores of the whole model. Units count by their weights, which on LLaMA makes a
// head 512/3 of a neuron as published. The threshold is the one whose widths come nearest to `level` percent of the
// blocks' weights after each layer's neurons are rounded to the nearest multiple; every layer keeps at least one group
// and one step of neurons.
LevelWidths threshold_widths(const ModelConfig& config, const UnitScores& scores, std::int64_t level,
                             std::int64_t neuron_multiple);

// Adds W mean(x_removed) to the o_bias of every block; blocks have no bias of down_proj to add one to. `weights` are in
// `order`, `stats` in the original one.
void add_flap_bias_inplace(ModelWeights& weights, const ActivationStats& stats, const UnitOrder& order,
                           const LevelWidths& widths);

}  // namespace elastify
