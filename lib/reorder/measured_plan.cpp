#include "reorder/measured_plan.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "reorder/cached_loss.h"
#include "reorder/make_plan.h"
#include "train/training_state.h"

namespace elastify {
namespace {

constexpr const char* kLosses = "losses";

// Answers from the record of a run that was stopped; what is not in it is measured and recorded.
class RecordedLoss : public LossMeter {
 public:
  RecordedLoss(CachedLoss& meter, const MeasuredProgress& progress, std::string key)
      : meter_(meter), progress_(progress), key_(std::move(key)) {
    if (progress.path.empty()) return;
    try {
      if (const auto state = TrainingState::load(progress.path, key_)) losses_ = state->figures(kLosses);
    } catch (const Error& error) {
      spdlog::warn("starting from the beginning, saved progress cannot be used: {}", error.what());
    }
    known_ = losses_.size();
    if (known_ > 0) spdlog::info("measured plan: going on after {} measurements", known_);
  }

  double loss() override {
    return answer([&] { return meter_.loss(); });
  }
  double loss_with(std::int64_t layer, std::int64_t kv_groups, std::int64_t neurons) override {
    return answer([&] { return meter_.loss_with(layer, kv_groups, neurons); });
  }
  void take(std::int64_t layer, std::int64_t kv_groups, std::int64_t neurons) override {
    meter_.take(layer, kv_groups, neurons);
  }
  bool replaying() const { return next_ <= known_; }

 private:
  template <typename Measure>
  double answer(Measure&& measure) {
    if (next_ < losses_.size()) return losses_[next_++];
    losses_.push_back(measure());
    ++next_;
    save();
    return losses_.back();
  }
  void save() {
    if (progress_.path.empty() || (interrupted() == 0 && saved_.seconds() < progress_.every_s)) return;
    TrainingState state;
    state.put_figures(kLosses, losses_);
    state.save(progress_.path, key_);
    saved_.restart();
    if (progress_.after_save) progress_.after_save(static_cast<std::int64_t>(losses_.size()));
    stop_if_interrupted();
  }

  CachedLoss& meter_;
  const MeasuredProgress& progress_;
  std::string key_;
  std::vector<double> losses_;
  std::size_t next_ = 0, known_ = 0;
  Stopwatch saved_;
};

std::string text_key(const torch::Tensor& tokens) {
  const torch::Tensor values = tokens.to(torch::kCPU).contiguous();
  return hash_text({static_cast<const char*>(values.data_ptr()), values.nbytes()});
}

std::string record_key(const MeasuredProgress& progress, const TokenRows& rows, const MeasuredConfig& config,
                       const RemovalRule& rule, ProductType products) {
  return fmt::format("{}\nmeasured 1, {} rows of {}, {} {}, batches of {}, {} {}, levels {}, {} {} {} {} {} {} {}",
                     progress.key, rows.rows(), rows.seq(), text_key(rows.inputs), text_key(rows.targets),
                     config.batch_rows, product_type_name(products), config.measure, fmt::join(rule.levels, ","),
                     rule.neuron_block, rule.neuron_multiple, rule.per_weight, rule.per_group, rule.per_half,
                     rule.slack, rule.exact);
}

std::vector<std::int64_t> whole_layers(const ModelConfig& model, const LevelWidths& widths) {
  std::vector<std::int64_t> whole;
  for (std::int64_t layer = 0; layer < model.num_layers; ++layer) {
    const auto at = static_cast<std::size_t>(layer);
    if (widths.kv_groups[at] == model.num_kv_heads && widths.neurons[at] == model.intermediate_size)
      whole.push_back(layer);
  }
  return whole;
}

double loss_after(const Removal& removal, std::size_t cuts) {
  return cuts == 0 ? removal.base_loss : removal.cuts[cuts - 1].loss;
}

// The share of the blocks' weights that is kept after each cut.
std::vector<double> kept_shares(const Removal& removal, const ModelConfig& model) {
  const auto all = static_cast<double>(model.num_layers * model.weights_per_block());
  std::vector<double> shares;
  double kept = all;
  for (const Cut& cut : removal.cuts) shares.push_back((kept -= static_cast<double>(cut.weights)) / all);
  return shares;
}

}  // namespace

RemovalRule removal_rule(const ModelConfig& model, const MeasuredConfig& config,
                         const std::vector<std::int64_t>& levels, std::int64_t neuron_multiple,
                         double bytes_per_weight) {
  RemovalRule rule;
  rule.levels = levels;
  rule.neuron_multiple = neuron_multiple;
  rule.slack = config.slack;
  const std::int64_t block = config.neuron_block > 0 ? config.neuron_block : model.intermediate_size / 4;
  rule.neuron_block = std::max<std::int64_t>(1, (block + neuron_multiple / 2) / neuron_multiple) * neuron_multiple;
  if (config.per == "latency") {
    constexpr double kCacheBytes = 2;  // the runtime keeps keys and values as float16 unless it is told otherwise
    rule.per_weight = bytes_per_weight;
    rule.per_group = kCacheBytes * 2 * static_cast<double>(model.head_dim * config.context);
    rule.per_half = config.half_bytes;
  }
  return rule;
}

MeasuredPlan measure_plan(const ModelWeights& weights, const TokenRows& rows, const MeasuredConfig& config,
                          const RemovalRule& rule, ProductType products, const MeasuredProgress& progress) {
  for (const auto& problem : level_problems(rule.levels)) fail_usage("reorder.{}", problem);
  CachedLoss cached(weights, rows, config.batch_rows, products,
                    config.measure == "divergence" ? Measure::kDivergence : Measure::kNextToken);
  if (const std::int64_t there = rows.rows() * rows.seq(); there < config.tokens) {
    fail_data(
        "a measured plan needs {} calibration tokens and the text has {}: give more of it (data.calibration) or lower "
        "reorder.measured.tokens",
        config.tokens, there);
  }
  RecordedLoss meter(cached, progress, record_key(progress, rows, config, rule, products));
  constexpr double kSteps = 1000;
  Progress line("measured plan", static_cast<std::int64_t>(kSteps), "thousandths");
  bool replaying = true;
  const auto report = [&](double share, const Removal& so_far) {
    const auto done = static_cast<std::int64_t>(kSteps * share);
    if (replaying) line.resume_at(done);
    replaying = replaying && meter.replaying();
    line.update(done, fmt::format("{} measurements, {} cuts, loss {:.4f}", so_far.evaluations, so_far.cuts.size(),
                                  loss_after(so_far, so_far.cuts.size())));
  };
  MeasuredPlan result;
  result.tokens = cached.tokens();
  result.removal = remove_greedily(weights.config, rule, meter, report);
  result.plan.kind = "measured";
  result.plan.neuron_multiple = rule.neuron_multiple;
  result.plan.anchors = whole_layers(weights.config, result.removal.level_widths.front());
  for (std::size_t i = 0; i < rule.levels.size(); ++i) {
    const LevelWidths& widths = result.removal.level_widths[i];
    result.plan.levels.push_back(
        {rule.levels[i], widths, block_ratio(weights.config, widths), total_ratio(weights.config, widths), false});
  }
  return result;
}

json measured_plan_to_json(const MeasuredPlan& plan, const ModelConfig& model, const MeasuredConfig& config,
                           const RemovalRule& rule) {
  const std::vector<double> shares = kept_shares(plan.removal, model);
  json cuts = json::array(), levels = json::array();
  for (std::size_t i = 0; i < plan.removal.cuts.size(); ++i) {
    const Cut& cut = plan.removal.cuts[i];
    cuts.push_back({{"layer", cut.layer},
                    {"kind", cut_kind_name(cut.kind)},
                    {"kv_groups", cut.kv_groups},
                    {"neurons", cut.neurons},
                    {"weights", cut.weights},
                    {"block_ratio", shares[i]},
                    {"loss", cut.loss}});
  }
  for (std::size_t i = 0; i < rule.levels.size(); ++i) {
    const std::size_t count = plan.removal.level_cuts[i];
    levels.push_back({{"level", rule.levels[i]},
                      {"cuts", count},
                      {"block_ratio", plan.plan.levels[i].block_ratio},
                      {"loss", loss_after(plan.removal, count)}});
  }
  return {{"per", config.per},
          {"measure", config.measure},
          {"tokens", plan.tokens},
          {"neuron_block", rule.neuron_block},
          {"evaluations", plan.removal.evaluations},
          {"base_loss", plan.removal.base_loss},
          {"cuts", cuts},
          {"levels", levels}};
}

Plot measured_plan_chart(const MeasuredPlan& plan, const ModelConfig& model, const MeasuredConfig& config) {
  Series cuts{"after each cut", {100}, {plan.removal.base_loss}}, levels{"levels", {}, {}};
  const std::vector<double> shares = kept_shares(plan.removal, model);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    cuts.x.push_back(100 * shares[i]);
    cuts.y.push_back(plan.removal.cuts[i].loss);
  }
  for (std::size_t i = 0; i < plan.plan.levels.size(); ++i) {
    levels.x.push_back(100 * plan.plan.levels[i].block_ratio);
    levels.y.push_back(loss_after(plan.removal, plan.removal.level_cuts[i]));
    levels.labels.push_back(std::to_string(plan.plan.levels[i].level));
  }
  return {fmt::format("Loss as units leave, {} calibration tokens", plan.tokens),
          "kept of the blocks' weights, percent",
          config.measure == "divergence" ? "divergence before recovery, nats per token"
                                         : "loss before recovery, nats per token",
          false,
          false,
          {cuts, levels}};
}

}  // namespace elastify
