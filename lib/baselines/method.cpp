#include "baselines/method.h"

#include <algorithm>

#include "base/error.h"
#include "baselines/contextual.h"
#include "baselines/flap.h"
#include "baselines/laco.h"
#include "baselines/layer_drop.h"
#include "baselines/weight_taylor.h"
#include "reorder/make_plan.h"
#include "train/training_state.h"

namespace elastify {
namespace {

constexpr std::int64_t kLacoTokens = 64;  // of a sentence, at most

LevelPlan plan_of(const ModelConfig& config, std::int64_t level, LevelWidths widths) {
  LevelPlan plan;
  plan.level = level;
  plan.widths = std::move(widths);
  plan.block_ratio = block_ratio(config, plan.widths);
  plan.total_ratio = total_ratio(config, plan.widths);
  return plan;
}

// One ratio for all layers but those that stay whole.
LevelPlan even_plan(const MethodInputs& inputs, std::int64_t level, const std::vector<std::int64_t>& whole) {
  const ModelConfig& c = inputs.config();
  PlanConfig settings;
  settings.kind = "even";
  settings.levels = {level, 100};
  settings.neuron_multiple = inputs.neuron_multiple();
  // `even` goes by positions: no score matters.
  const SortedScores none{torch::zeros({c.num_layers, c.num_kv_heads}, torch::kFloat64),
                          torch::zeros({c.num_layers, c.intermediate_size}, torch::kFloat64)};
  return make_plan(c, whole, none, settings).at(level);
}

Candidate by_scores(const MethodInputs& inputs, const UnitScores& scores, LevelPlan plan) {
  Candidate made;
  made.weights = reordered_weights(inputs.full().weights(), order_by_importance(scores.groups, scores.neurons));
  made.plan = std::move(plan);
  return made;
}

Candidate infeasible(const std::string& reason) {
  Candidate made;
  made.infeasible = reason;
  return made;
}

Candidate make_ours(MethodInputs& inputs, std::int64_t level) { return inputs.ours(level); }

Candidate make_llm_pruner(MethodInputs& inputs, std::int64_t level) {
  const auto whole = llm_pruner_whole_layers(inputs.config().num_layers);
  Candidate made = by_scores(inputs, inputs.weight_taylor(), even_plan(inputs, level, whole));
  made.notes["whole_layers"] = whole;
  return made;
}

Candidate make_flap(MethodInputs& inputs, std::int64_t level) {
  const UnitScores scores = flap_scores(inputs.full().weights(), inputs.stats());
  const ModelConfig& c = inputs.config();
  Candidate made =
      by_scores(inputs, scores, plan_of(c, level, threshold_widths(c, scores, level, inputs.neuron_multiple())));
  add_flap_bias_inplace(made.weights, inputs.stats(), order_by_importance(scores.groups, scores.neurons),
                        made.plan.widths);
  return made;
}

Candidate without(MethodInputs& inputs, std::int64_t level, const std::vector<std::int64_t>& removed) {
  Candidate made;
  made.weights = inputs.full().weights();
  made.plan = plan_of(inputs.config(), level, without_layers(inputs.config(), removed));
  made.notes["removed_layers"] = removed;
  return made;
}

Candidate make_shortgpt(MethodInputs& inputs, std::int64_t level) {
  std::vector<double> influence;
  for (const double cosine : inputs.stats().block_cosine) influence.push_back(1 - cosine);
  const std::int64_t layers = inputs.config().num_layers;
  return without(inputs, level, lowest_layers(influence, layers - layers_at(layers, level)));
}

Candidate make_early_exit(MethodInputs& inputs, std::int64_t level) {
  std::vector<std::int64_t> removed;
  for (std::int64_t layer = layers_at(inputs.config().num_layers, level); layer < inputs.config().num_layers; ++layer)
    removed.push_back(layer);
  return without(inputs, level, removed);
}

Candidate make_laco(MethodInputs& inputs, std::int64_t level, LacoReading reading) {
  const TokenRows& rows = inputs.calibration();
  const torch::Tensor sentences = rows.inputs.narrow(0, 0, std::min(kLacoSentences, rows.rows()))
                                      .narrow(1, 0, std::min(kLacoTokens, rows.seq()))
                                      .to(inputs.full().weights().embedding.device());
  const std::int64_t layers = inputs.config().num_layers;
  LacoResult result = laco(inputs.full(), sentences, layers - layers_at(layers, level), reading);
  Candidate made = without(inputs, level, result.removed);
  made.weights = std::move(result.weights);
  made.notes["threshold"] = result.threshold;
  return made;
}
Candidate make_laco_paper(MethodInputs& inputs, std::int64_t level) {
  return make_laco(inputs, level, LacoReading::kMergedDifferences);
}
Candidate make_laco_released(MethodInputs& inputs, std::int64_t level) {
  return make_laco(inputs, level, LacoReading::kInPlace);
}

Candidate make_attention_drop(MethodInputs& inputs, std::int64_t level) {
  const ModelConfig& c = inputs.config();
  const std::int64_t count = attention_blocks_to_drop(c, level);
  if (count > c.num_layers) {
    const double least =
        block_ratio(c, without_layers(c, {})) -
        static_cast<double>(c.num_kv_heads * c.weights_per_group()) / static_cast<double>(c.weights_per_block());
    return infeasible(fmt::format("without any attention {:.0f} % of the blocks' weights are left", 100 * least));
  }
  std::vector<double> change;
  for (const double cosine : inputs.stats().attention_cosine) change.push_back(-cosine);
  Candidate made;
  made.weights = inputs.full().weights();
  const auto removed = lowest_layers(change, count);
  made.plan = plan_of(c, level, without_attention(c, removed));
  made.notes["removed_attention"] = removed;
  return made;
}

Candidate make_scored(MethodInputs& inputs, std::int64_t level, const char* method) {
  ProfileConfig settings;
  settings.method = method;
  const UnitScores scores = profile_units(inputs.full(), inputs.calibration(), settings, inputs.seed()).scores;
  return by_scores(inputs, scores, even_plan(inputs, level, {}));
}
Candidate make_magnitude(MethodInputs& inputs, std::int64_t level) { return make_scored(inputs, level, "magnitude"); }
Candidate make_random(MethodInputs& inputs, std::int64_t level) { return make_scored(inputs, level, "random"); }

Candidate make_contextual(MethodInputs& inputs, std::int64_t level) {
  const ModelConfig& c = inputs.config();
  const std::int64_t kept = contextual_neurons(c, level);
  if (kept < 1) return infeasible("attention alone exceeds the level");
  Candidate made;
  made.weights = inputs.full().weights();
  made.plan = plan_of(c, level, full_widths(c));
  LevelWidths read = full_widths(c);
  std::fill(read.neurons.begin(), read.neurons.end(), std::min(kept, c.intermediate_size));
  made.plan.block_ratio = block_ratio(c, read);
  made.plan.total_ratio = total_ratio(c, read);
  made.tap = contextual_tap(made.weights, kept);
  made.notes["neurons_per_token"] = kept;
  return made;
}

// The shape alone: weights come from training.
Candidate make_scratch(MethodInputs& inputs, std::int64_t level) {
  Candidate made;
  made.weights = inputs.full().weights();
  made.plan = even_plan(inputs, level, {});
  return made;
}

std::vector<Method> make_table() {
  return {
      {"ours", "the plan of the settings", Recovery::kAdapter, make_ours},
      {"llm-pruner", "sum over a unit's weights of |w g|, the first and last layers whole", Recovery::kAdapter,
       make_llm_pruner, 6},
      {"flap", "fluctuation of activations, one threshold for all layers, mean activations as biases",
       Recovery::kAdapter, make_flap, 4},
      {"shortgpt", "whole layers with the lowest block influence removed", Recovery::kAdapter, make_shortgpt, 4},
      {"laco", "layers collapse into the lowest of them, differences summed (the paper)", Recovery::kAdapter,
       make_laco_paper},
      {"laco-released", "the same with the released update, which leaves the highest layer", Recovery::kAdapter,
       make_laco_released},
      {"attndrop", "attention blocks that change the stream least removed", Recovery::kAdapter, make_attention_drop, 4},
      {"early-exit", "the first layers, then the head", Recovery::kAdapter, make_early_exit},
      {"magnitude", "L2 norm of a unit's weights, one ratio for all layers", Recovery::kAdapter, make_magnitude},
      {"random", "units drawn by lot, one ratio for all layers", Recovery::kAdapter, make_random},
      {"contextual", "an upper bound: the neurons of each token chosen with hindsight, no recovery", Recovery::kNone,
       make_contextual},
      {"scratch", "a small model of the level's size, trained from nothing", Recovery::kWhole, make_scratch},
  };
}

torch::Tensor vector_of(const std::vector<double>& values) { return torch::tensor(values, torch::kFloat64); }
std::vector<double> values_of(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

// Values by name from `path`, or made and kept there.
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor*>>;
template <typename Make>
void load_or_make(const fs::path& path, const std::string& key, const NamedTensors& tensors, Make&& make) {
  if (const auto state = path.empty() ? std::nullopt : TrainingState::load(path, key)) {
    for (const auto& [name, tensor] : tensors) *tensor = state->tensor(name, *tensor).clone();
    return;
  }
  make();
  if (path.empty()) return;
  TrainingState state;
  for (const auto& [name, tensor] : tensors) state.put(name, *tensor);
  state.save(path, key);
}

torch::Tensor table(std::int64_t rows, std::int64_t columns) { return torch::zeros({rows, columns}, torch::kFloat64); }

}  // namespace

const ActivationStats& MethodInputs::stats() {
  if (stats_) return *stats_;
  const ModelConfig& c = config();
  const std::int64_t inputs = c.num_kv_heads * c.group_width();
  ActivationStats made;
  made.groups = {table(c.num_layers, inputs), table(c.num_layers, inputs)};
  made.neurons = {table(c.num_layers, c.intermediate_size), table(c.num_layers, c.intermediate_size)};
  torch::Tensor blocks = torch::zeros({c.num_layers}, torch::kFloat64), attention = torch::zeros_like(blocks);
  load_or_make(cache.empty() ? fs::path() : cache / "activations.safetensors", key,
               {{"groups.mean", &made.groups.mean},
                {"groups.variance", &made.groups.variance},
                {"neurons.mean", &made.neurons.mean},
                {"neurons.variance", &made.neurons.variance},
                {"block_cosine", &blocks},
                {"attention_cosine", &attention}},
               [&] {
                 made = activation_stats(full_, calibration_);
                 blocks = vector_of(made.block_cosine);
                 attention = vector_of(made.attention_cosine);
               });
  made.block_cosine = values_of(blocks);
  made.attention_cosine = values_of(attention);
  return stats_.emplace(std::move(made));
}

const UnitScores& MethodInputs::weight_taylor() {
  if (weight_taylor_) return *weight_taylor_;
  const ModelConfig& c = config();
  UnitScores made{table(c.num_layers, c.num_kv_heads), table(c.num_layers, c.intermediate_size)};
  load_or_make(cache.empty() ? fs::path() : cache / "weight_taylor.safetensors", key,
               {{"groups", &made.groups}, {"neurons", &made.neurons}},
               [&] { made = weight_taylor_scores(full_, calibration_); });
  return weight_taylor_.emplace(std::move(made));
}

const std::vector<Method>& method_table() {
  static const std::vector<Method> methods = make_table();
  return methods;
}

std::vector<const Method*> find_methods(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const Method& method : method_table()) all.push_back(method.name);
  for (const auto& name : names) {
    if (std::find(all.begin(), all.end(), name) == all.end())
      fail_usage("--methods: there is no method \"{}\", expected some of {}", name, fmt::join(all, ", "));
  }
  std::vector<const Method*> found;
  for (const Method& method : method_table()) {
    if (names.empty() || std::find(names.begin(), names.end(), method.name) != names.end()) found.push_back(&method);
  }
  return found;
}

ModelWeights reordered_weights(const ModelWeights& weights, const UnitOrder& order) {
  const torch::NoGradGuard no_grad;
  ModelWeights moved = weights;
  for (std::size_t layer = 0; layer < moved.blocks.size(); ++layer) {
    for (const BlockTensor& part : block_table()) {
      torch::Tensor& tensor = moved.blocks[layer].*part.field;
      if (part.unit() == Unit::kNone || !tensor.defined()) continue;
      const Permutation& permutation = part.unit() == Unit::kGroup ? order.groups[layer] : order.neurons[layer];
      tensor = permutation.apply(tensor, part.unit_dimension(), part.unit_extent(block_widths(weights.config, 1, 1)));
    }
  }
  return moved;
}

}  // namespace elastify
