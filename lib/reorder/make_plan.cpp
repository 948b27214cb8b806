#include "reorder/make_plan.h"

#include <algorithm>
#include <queue>
#include <set>

#include "base/error.h"

namespace elastify {
namespace {

// The next KV group or the next stretch of neurons of one layer.
struct Step {
  std::int64_t layer = 0;
  bool is_group = false;
  std::int64_t count = 0;    // units of that kind in the layer once the step is taken
  std::int64_t weights = 0;  // that the step adds
  double position = 0;       // middle of the step within its kind, 0..1: the order of `even`
  double density = 0;        // importance per weight: the order of `global`
};

class StepBuilder {
 public:
  StepBuilder(const ModelConfig& config, const SortedScores& scores, std::int64_t multiple)
      : config_(config),
        multiple_(multiple),
        groups_(scores.groups.to(torch::kCPU, torch::kFloat64).contiguous()),
        neurons_(scores.neurons.to(torch::kCPU, torch::kFloat64).contiguous()) {}

  std::int64_t first_neurons() const { return std::min(multiple_, config_.intermediate_size); }

  // Steps beyond the minimum, in the only order in which a prefix can grow.
  std::vector<Step> group_steps(std::int64_t layer) const {
    std::vector<Step> steps;
    for (std::int64_t g = 1; g < config_.num_kv_heads; ++g) {
      steps.push_back(make(layer, true, g, g + 1, config_.num_kv_heads, config_.weights_per_group(), groups_[layer]));
    }
    return steps;
  }
  std::vector<Step> neuron_steps(std::int64_t layer) const {
    std::vector<Step> steps;
    for (std::int64_t begin = first_neurons(); begin < config_.intermediate_size; begin += multiple_) {
      const std::int64_t end = std::min(begin + multiple_, config_.intermediate_size);
      steps.push_back(
          make(layer, false, begin, end, config_.intermediate_size, config_.weights_per_neuron(), neurons_[layer]));
    }
    return steps;
  }

 private:
  static Step make(std::int64_t layer, bool is_group, std::int64_t begin, std::int64_t end, std::int64_t width,
                   std::int64_t unit_weights, const torch::Tensor& scores) {
    Step step{layer, is_group, end, (end - begin) * unit_weights, 0, 0};
    step.position = static_cast<double>(begin + end) / 2 / static_cast<double>(width);
    step.density = scores.narrow(0, begin, end - begin).sum().item<double>() / static_cast<double>(step.weights);
    return step;
  }

  const ModelConfig& config_;
  std::int64_t multiple_;
  torch::Tensor groups_, neurons_;
};

std::vector<Step> even_order(const StepBuilder& builder, const std::vector<std::int64_t>& layers) {
  std::vector<Step> order;
  for (const std::int64_t layer : layers) {
    for (const auto& steps : {builder.group_steps(layer), builder.neuron_steps(layer)}) {
      order.insert(order.end(), steps.begin(), steps.end());
    }
  }
  std::stable_sort(order.begin(), order.end(), [](const Step& a, const Step& b) { return a.position < b.position; });
  return order;
}

// Greedy: of all next steps, the one with the most importance per weight.
std::vector<Step> global_order(const StepBuilder& builder, const std::vector<std::int64_t>& layers) {
  std::vector<std::vector<Step>> chains;
  for (const std::int64_t layer : layers) {
    chains.push_back(builder.group_steps(layer));
    chains.push_back(builder.neuron_steps(layer));
  }
  struct Head {
    double density;
    std::size_t chain, index;
    bool operator<(const Head& other) const {
      return density != other.density ? density < other.density : chain > other.chain;
    }
  };
  std::priority_queue<Head> heads;
  const auto push = [&](std::size_t chain, std::size_t index) {
    if (index < chains[chain].size()) heads.push({chains[chain][index].density, chain, index});
  };
  for (std::size_t chain = 0; chain < chains.size(); ++chain) push(chain, 0);
  std::vector<Step> order;
  while (!heads.empty()) {
    const Head head = heads.top();
    heads.pop();
    order.push_back(chains[head.chain][head.index]);
    push(head.chain, head.index + 1);
  }
  return order;
}

void take(const Step& step, LevelWidths& widths) {
  auto& counts = step.is_group ? widths.kv_groups : widths.neurons;
  counts[static_cast<std::size_t>(step.layer)] = step.count;
}

std::int64_t kept_weights(const ModelConfig& config, const LevelWidths& widths) {
  std::int64_t kept = config.num_layers * config.fixed_weights_per_block();
  for (std::size_t layer = 0; layer < widths.neurons.size(); ++layer) {
    kept += widths.kv_groups[layer] * config.weights_per_group() + widths.neurons[layer] * config.weights_per_neuron();
  }
  return kept;
}

// Takes steps while that brings the weights nearer to `target`.
void fill(const std::vector<Step>& order, double target, std::int64_t kept, LevelWidths& widths) {
  for (const Step& step : order) {
    if (static_cast<double>(kept) + static_cast<double>(step.weights) / 2 > target) return;
    take(step, widths);
    kept += step.weights;
  }
}

}  // namespace

std::vector<std::string> level_problems(const std::vector<std::int64_t>& levels) {
  if (!levels.empty() && levels.back() == 100 &&
      std::adjacent_find(levels.begin(), levels.end(), std::greater_equal<>()) == levels.end())
    return {};
  return {fmt::format("levels must ascend without repeats and end in 100, found [{}]", fmt::join(levels, ", "))};
}

ElasticPlan make_plan(const ModelConfig& config, const std::vector<std::int64_t>& anchors, const SortedScores& scores,
                      const PlanConfig& settings) {
  for (const auto& problem : level_problems(settings.levels)) fail_usage("reorder.{}", problem);
  const StepBuilder builder(config, scores, settings.neuron_multiple);
  std::vector<std::int64_t> others;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    if (std::count(anchors.begin(), anchors.end(), layer) == 0) others.push_back(layer);
  }
  const auto order_of = settings.kind == "global" ? global_order : even_order;
  const std::vector<Step> other_steps = order_of(builder, others), anchor_steps = order_of(builder, anchors);

  const auto layers = static_cast<std::size_t>(config.num_layers);
  const LevelWidths least{std::vector<std::int64_t>(layers, 1),
                          std::vector<std::int64_t>(layers, builder.first_neurons())};
  LevelWidths anchored = least;
  for (const Step& step : anchor_steps) take(step, anchored);

  ElasticPlan plan{settings.kind, settings.neuron_multiple, anchors, {}};
  for (const std::int64_t level : settings.levels) {
    const double target =
        static_cast<double>(level) / 100 * static_cast<double>(config.num_layers * config.weights_per_block());
    LevelPlan entry;
    entry.level = level;
    entry.anchors_give_way = static_cast<double>(kept_weights(config, anchored)) > target && !anchors.empty();
    if (level == 100) {
      entry.anchors_give_way = false;
      entry.widths = full_widths(config);
    } else if (!entry.anchors_give_way) {
      entry.widths = anchored;
      fill(other_steps, target, kept_weights(config, anchored), entry.widths);
    } else {
      if (settings.infeasible == "refuse") {
        fail_usage(
            "level {} is infeasible: the anchor layers {} alone hold {:.1f} % of the blocks' weights; lower "
            "anchors.share, drop the level, or set reorder.infeasible to give_way",
            level, fmt::join(anchors, ", "), 100 * block_ratio(config, anchored));
      }
      entry.widths = least;
      fill(anchor_steps, target, kept_weights(config, least), entry.widths);
    }
    entry.block_ratio = block_ratio(config, entry.widths);
    entry.total_ratio = total_ratio(config, entry.widths);
    plan.levels.push_back(entry);
  }
  return plan;
}

double block_ratio(const ModelConfig& config, const LevelWidths& widths) {
  return static_cast<double>(kept_weights(config, widths)) /
         static_cast<double>(config.num_layers * config.weights_per_block());
}

double total_ratio(const ModelConfig& config, const LevelWidths& widths) {
  const auto outside = config.weights_outside_blocks();
  return static_cast<double>(kept_weights(config, widths) + outside) /
         static_cast<double>(config.num_layers * config.weights_per_block() + outside);
}

}  // namespace elastify
