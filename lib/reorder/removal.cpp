#include "reorder/removal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "reorder/plan.h"

namespace elastify {
namespace {

constexpr double kMissAllowed = 0.05;  // of the blocks' weights
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Search {
 public:
  Search(const ModelConfig& config, const RemovalRule& rule, LossMeter& meter, const RemovalProgress& progress)
      : config_(config), rule_(rule), meter_(meter), progress_(progress), widths_(full_widths(config)) {
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
      for (const CutKind kind :
           {CutKind::kGroup, CutKind::kNeurons, CutKind::kAttention, CutKind::kMlp, CutKind::kLayer})
        slots_.push_back({layer, kind});
    }
    all_ = config.num_layers * config.weights_per_block();
    kept_ = all_;
  }

  Removal run() {
    loss_ = found_.base_loss = meter_.loss();
    ++found_.evaluations;
    found_.level_cuts.resize(rule_.levels.size());
    found_.level_widths.resize(rule_.levels.size());
    for (std::size_t i = rule_.levels.size(); i-- > 0;) {
      reach(rule_.levels[i]);
      found_.level_cuts[i] = found_.cuts.size();
      found_.level_widths[i] = widths_;
      check_level(i);
    }
    return found_;
  }

 private:
  // A cut that may come up again and again as its layer shrinks, with what it cost when it was measured last.
  struct Slot {
    std::int64_t layer;
    CutKind kind;
    double price = -kInfinity;         // increase of the loss per what is saved; so that all are measured first
    double loss = 0;                   // of the model after the cut
    std::size_t measured_after = ~0u;  // so many cuts
  };

  double target(std::int64_t level) const { return static_cast<double>(level) / 100 * static_cast<double>(all_); }

  std::int64_t next_neurons(std::int64_t neurons) const {
    return std::max<std::int64_t>(0, (neurons - rule_.neuron_block) / rule_.neuron_multiple * rule_.neuron_multiple);
  }
  // What the slot would take now; nothing where there is nothing to take, or where the whole half is the same.
  std::optional<Cut> cut_of(const Slot& slot) const {
    const auto at = static_cast<std::size_t>(slot.layer);
    const std::int64_t groups = widths_.kv_groups[at], neurons = widths_.neurons[at];
    Cut cut{slot.layer, slot.kind, groups, neurons, 0, 0};
    if (slot.kind == CutKind::kGroup) cut.kv_groups = groups - 1;
    if (slot.kind == CutKind::kNeurons) cut.neurons = next_neurons(neurons);
    if (slot.kind == CutKind::kAttention || slot.kind == CutKind::kLayer) cut.kv_groups = 0;
    if (slot.kind == CutKind::kMlp || slot.kind == CutKind::kLayer) cut.neurons = 0;
    if (slot.kind == CutKind::kLayer && (groups == 0 || neurons == 0)) return {};
    if ((slot.kind == CutKind::kGroup && cut.kv_groups < 1) || (slot.kind == CutKind::kNeurons && cut.neurons < 1))
      return {};
    cut.weights =
        (groups - cut.kv_groups) * config_.weights_per_group() + (neurons - cut.neurons) * config_.weights_per_neuron();
    if (cut.weights == 0 || cut.weights == kept_ - config_.num_layers * config_.fixed_weights_per_block()) return {};
    return cut;
  }
  double saved(const Cut& cut) const {
    const auto at = static_cast<std::size_t>(cut.layer);
    const std::int64_t groups = widths_.kv_groups[at] - cut.kv_groups;
    const int halves = (widths_.kv_groups[at] > 0 && cut.kv_groups == 0 ? 1 : 0) +
                       (widths_.neurons[at] > 0 && cut.neurons == 0 ? 1 : 0);
    return rule_.per_weight * static_cast<double>(cut.weights) + rule_.per_group * static_cast<double>(groups) +
           rule_.per_half * halves;
  }
  // Does it lead nearer to the target, and past it by at most half a step?
  bool fits(const Cut& cut, double target) const {
    const auto kept = static_cast<double>(kept_), after = kept - static_cast<double>(cut.weights);
    const std::int64_t step = std::max(config_.weights_per_group(), rule_.neuron_block * config_.weights_per_neuron());
    return after >= target - static_cast<double>(step) / 2 && std::abs(after - target) < std::abs(kept - target);
  }

  void measure(Slot& slot, const Cut& cut) {
    slot.loss = meter_.loss_with(cut.layer, cut.kv_groups, cut.neurons);
    slot.price = (slot.loss - loss_) / saved(cut);
    slot.measured_after = found_.cuts.size();
    ++found_.evaluations;
    if (progress_) progress_(share(), found_);
  }
  // The first measurements take a while before anything is cut.
  double share() const {
    const double looks = static_cast<double>(slots_.size()), goal = static_cast<double>(all_) - target(rule_.levels[0]);
    const double expected = looks + 4 * static_cast<double>(config_.num_layers);
    const double removed = goal > 0 ? std::min(1.0, static_cast<double>(all_ - kept_) / goal) : 1;
    const double first = looks / expected, looked = static_cast<double>(found_.evaluations) / looks;
    return first * std::min(1.0, looked) + (1 - first) * removed;
  }

  // The cheapest cut that leads nearer to the target, measured on the present model.
  std::optional<Cut> next_cut(double target) {
    while (true) {
      Slot *fresh = nullptr, *stale = nullptr;
      for (Slot& slot : slots_) {
        const std::optional<Cut> cut = cut_of(slot);
        if (!cut || !fits(*cut, target)) continue;
        if (rule_.exact && slot.measured_after != found_.cuts.size()) measure(slot, *cut);
        Slot*& best = slot.measured_after == found_.cuts.size() ? fresh : stale;
        if (best == nullptr || slot.price < best->price) best = &slot;
      }
      if (fresh == nullptr && stale == nullptr) return {};
      if (stale == nullptr || (fresh != nullptr && settled(*fresh, *stale))) {
        Cut cut = *cut_of(*fresh);
        cut.loss = fresh->loss;
        return cut;
      }
      measure(*stale, *cut_of(*stale));
    }
  }
  // Need the cheapest of the cuts that were measured before the last one was taken not be looked at again?
  bool settled(const Slot& fresh, const Slot& stale) const {
    return fresh.price - rule_.slack * std::abs(fresh.price) <= stale.price;
  }

  void reach(std::int64_t level) {
    while (const auto cut = next_cut(target(level))) {
      meter_.take(cut->layer, cut->kv_groups, cut->neurons);
      widths_.kv_groups[static_cast<std::size_t>(cut->layer)] = cut->kv_groups;
      widths_.neurons[static_cast<std::size_t>(cut->layer)] = cut->neurons;
      kept_ -= cut->weights;
      loss_ = cut->loss;
      found_.cuts.push_back(*cut);
    }
  }

  void check_level(std::size_t i) const {
    const std::int64_t level = rule_.levels[i];
    const double ratio = block_ratio(config_, widths_);
    const char* const advice = "drop the level from reorder.levels or lower reorder.measured.neuron_block";
    if (std::abs(ratio - static_cast<double>(level) / 100) > kMissAllowed) {
      fail_usage("level {} cannot be met: cuts of whole KV groups and {} neurons come to {:.1f} % at best; {}", level,
                 rule_.neuron_block, 100 * ratio, advice);
    }
    if (i + 1 < rule_.levels.size() && found_.level_cuts[i] == found_.level_cuts[i + 1]) {
      fail_usage("levels {} and {} cannot both be met: no cut of whole KV groups and {} neurons lies between them; {}",
                 level, rule_.levels[i + 1], rule_.neuron_block, advice);
    }
  }

  const ModelConfig& config_;
  const RemovalRule& rule_;
  LossMeter& meter_;
  const RemovalProgress& progress_;
  LevelWidths widths_;
  std::vector<Slot> slots_;
  std::int64_t all_ = 0, kept_ = 0;  // weights of the blocks
  double loss_ = 0;
  Removal found_;
};

}  // namespace

const char* cut_kind_name(CutKind kind) {
  constexpr const char* kNames[] = {"group", "neurons", "attention", "mlp", "layer"};
  return kNames[static_cast<std::size_t>(kind)];
}

Removal remove_greedily(const ModelConfig& config, const RemovalRule& rule, LossMeter& meter,
                        const RemovalProgress& progress) {
  return Search(config, rule, meter, progress).run();
}

}  // namespace elastify
