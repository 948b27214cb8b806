// Which units leave first, by measurement: a sequence of cuts of which every level takes a prefix.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/weights.h"

namespace elastify {

// All that is left of: a half (kAttention, kMlp), both halves (kLayer). What attention writes is often read by the same
// layer's MLP, so that both together cost less than one after the other.
enum class CutKind { kGroup, kNeurons, kAttention, kMlp, kLayer };
const char* cut_kind_name(CutKind kind);  // group, neurons, attention, mlp, layer

// One layer's last KV group, its last block of neurons, a whole half of it or both, taken away.
struct Cut {
  std::int64_t layer = 0;
  CutKind kind = CutKind::kGroup;
  std::int64_t kv_groups = 0, neurons = 0;  // that the layer keeps
  std::int64_t weights = 0;                 // that leave
  double loss = 0;                          // nats per token of the model after it
};

// Measures the loss of sub-models that differ from the present one in one layer.
class LossMeter {
 public:
  virtual ~LossMeter() = default;
  // Of the present widths; of the same with those of `layer` replaced. Nats per token, finite.
  virtual double loss() = 0;
  virtual double loss_with(std::int64_t layer, std::int64_t kv_groups, std::int64_t neurons) = 0;
  // The replacement becomes part of the present widths.
  virtual void take(std::int64_t layer, std::int64_t kv_groups, std::int64_t neurons) = 0;
};

struct RemovalRule {
  std::vector<std::int64_t> levels;  // percent of the blocks' weights, rising, the last 100
  std::int64_t neuron_block = 0;     // neurons a cut takes
  std::int64_t neuron_multiple = 0;  // of which every count is a multiple, or the full width
  // What a cut saves: weights times the first plus KV groups times the second, and the third for each half that it
  // empties, in any unit.
  double per_weight = 1, per_group = 0, per_half = 0;
  double slack = 0;  // a cut is taken without looking at others again that were at most this share of its price cheaper
  bool exact = false;  // measure every cut again before each choice: an oracle, and for tiny models
};

struct Removal {
  double base_loss = 0;                   // nats per token, nothing removed
  std::vector<Cut> cuts;                  // in their order
  std::vector<std::size_t> level_cuts;    // by level: how many cuts come before it, falling
  std::vector<LevelWidths> level_widths;  // by level
  std::int64_t evaluations = 0;           // losses measured
};

// Told after every measurement: how far the work is likely to be (0 to 1), the cuts so far and the present loss.
using RemovalProgress = std::function<void(double share, const Removal& so_far)>;

// Lazy greedy (Minoux 1978). The next cut is the one with the least increase of the loss per what it saves. A cut that
// was measured before others were taken is measured again, in place, before it is taken: where increases only grow as
// more is removed, that gives what measuring every cut before each choice would. A level, from the largest down, takes
// cuts while that brings its weights nearer to its name; one that would lead past it by more than half of a KV group or
// block of neurons, whichever is larger, waits. At least one half
// of one layer keeps a unit. Equal prices: the lower layer, then the kind that stands first.
// Throws Error(kUsage) where a level cannot be met: no cut leads within 5 points of it, or none lies between it and the
// next larger level.
Removal remove_greedily(const ModelConfig& config, const RemovalRule& rule, LossMeter& meter,
                        const RemovalProgress& progress = {});

}  // namespace elastify
