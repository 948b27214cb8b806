#include "baselines/harness.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/plot.h"
#include "base/stopwatch.h"
#include "baselines/candidate_run.h"
#include "baselines/comparison.h"
#include "baselines/correlation.h"
#include "baselines/kept_json.h"
#include "baselines/time_estimate.h"
#include "model/device.h"
#include "pipeline/pipeline.h"
#include "pipeline/stage_parts.h"
#include "pipeline/stage_table.h"

namespace elastify {
namespace {

// The stages of a build that come before what is asked: all up to the plan, or sampled text alone.
void run_stages(const PipelineConfig& config, const fs::path& run_dir, bool plan) {
  for (const Stage* stage : wanted_stages(config)) {
    const std::string name = stage->name;
    if (plan || name == "sample") Pipeline(config, run_dir, name).run();
    if (name == "reorder") return;
  }
}

std::vector<std::int64_t> wanted_levels(const PipelineConfig& config, const BaselinesRequest& request) {
  const auto& planned = config.reorder.levels;
  for (const std::int64_t level : request.levels) {
    if (level >= 100 || std::find(planned.begin(), planned.end(), level) == planned.end())
      fail_usage("--levels: {} is not one of reorder.levels below 100: {}", level, fmt::join(planned, ", "));
  }
  if (!request.levels.empty()) return request.levels;
  std::vector<std::int64_t> levels(planned.rbegin(), planned.rend());
  std::erase(levels, 100);
  return levels;
}

// `ours`: the reordered checkpoint and the plan that the stages left.
Candidate planned_candidate(SharedData& shared, std::int64_t level) {
  const Checkpoint reordered = Checkpoint::open(shared.run.file("reordered"));
  Candidate made;
  made.weights = load_weights(reordered, shared.device, torch::kFloat32);
  made.plan = load_plan(shared.run.file("plan.json"), reordered.config()).at(level);
  return made;
}

// {losses, tokens_per_s, [held_out], [tasks]} of the full model; the latter where there is recovery.
json measure_full(SharedData& shared, bool recovery) {
  bool worked = false;
  json inputs = {shared.key, text_hashes(shared.texts)};
  if (recovery) inputs.push_back({rows_hash(shared.held_out), shared.tasks.hash});
  return kept_json(shared.folder() / "full.json", hash_text(inputs.dump()), worked, [&] {
    const Stopwatch watch;
    const ModelWeights& weights = shared.full.weights();
    const MeasuredModel model{weights, full_widths(weights.config), nullptr, {}};
    json full = {{"losses", losses_on(shared.texts, model, shared.finetune)}};
    full["tokens_per_s"] = static_cast<double>(token_count(shared.texts)) / watch.seconds();
    if (!recovery) return full;
    full["held_out"] = loss_on(shared.held_out, model, shared.finetune);
    if (!shared.tasks.items.empty()) full["tasks"] = measure_tasks(shared.full, nullptr, {}, shared.tasks);
    return full;
  });
}

constexpr double kLatencySeconds = 10;

// Of one piece, from the speed of a forward pass through the full model.
struct Costs {
  double tokens_per_s, text_tokens, training_tokens, task_tokens, calibration_tokens;
  bool teacher;

  // Packing and both latencies take seconds whatever the model: the runtime reads far faster than this pass.
  double before(double ratio, double calibration_passes) const {
    return (ratio * text_tokens + calibration_passes * calibration_tokens) / tokens_per_s + kLatencySeconds;
  }
  double after(double ratio) const {  // forward, and a backward pass that costs twice as much
    const double training = ((teacher ? 1 : 0) + 3 * ratio) * training_tokens;
    return (training + ratio * (text_tokens + task_tokens)) / tokens_per_s;
  }
};

Costs make_costs(const SharedData& shared, const json& full, const Schedule& schedule) {
  Costs costs{};
  costs.tokens_per_s = std::max(1.0, full.at("tokens_per_s").get<double>());
  costs.text_tokens = static_cast<double>(token_count(shared.texts));
  costs.training_tokens = static_cast<double>(schedule.steps * shared.finetune.batch_rows * shared.finetune.seq);
  for (const TaskTokens& task : shared.tasks.tokens) {
    for (const ScoredTokens& option : task.options) costs.task_tokens += static_cast<double>(option.ids.size());
  }
  costs.calibration_tokens = static_cast<double>(shared.calibration.inputs.numel());
  costs.teacher = shared.finetune.loss == "distill";
  return costs;
}

void say_estimate(const Costs& costs, const std::vector<std::int64_t>& levels, std::size_t methods, bool recovery) {
  for (const std::int64_t level : levels) {
    const double ratio = static_cast<double>(level) / 100;
    spdlog::info(
        "baselines: level {}: about {} a method before recovery{}", level, format_duration(costs.before(ratio, 0)),
        recovery
            ? fmt::format(", {} for {:.0f} tokens of it", format_duration(costs.after(ratio)), costs.training_tokens)
            : "");
  }
  spdlog::info("baselines: {} methods, {} levels", methods, levels.size());
}

class Harness {
 public:
  Harness(SharedData& shared, const std::vector<const Method*>& methods, const std::vector<std::int64_t>& levels)
      : shared_(shared),
        schedule_(shared_schedule(shared.finetune, shared.checkpoint.config().hidden_size, shared.train)),
        full_(measure_full(shared, !shared.request.before_only)),
        inputs_(shared.full, shared.calibration, shared.seed(), shared.config.reorder.neuron_multiple),
        recoverer_({shared.full, levels, shared.folder() / "teacher", hash_text(shared.key.dump()), shared.train,
                    shared.held_out, shared.finetune, full_.value("held_out", 0.0), shared.seed()},
                   schedule_) {
    inputs_.cache = shared.folder();
    inputs_.key = hash_text(shared.key.dump());
    inputs_.ours = [this](std::int64_t level) { return planned_candidate(shared_, level); };
    for (const std::int64_t level : levels) {
      for (const Method* method : methods)
        runs_.push_back(std::make_unique<CandidateRun>(shared, inputs_, recoverer_, schedule_, *method, level));
    }
    const Costs costs = make_costs(shared, full_, schedule_);
    say_estimate(costs, levels, methods.size(), !shared.request.before_only);
    for (const auto& at : estimates(costs, levels, methods)) seconds_.push_back(at);
  }

  json run() {
    TimeEstimate time(seconds_);
    for (const auto& run : runs_) {
      time.start(run->name() + " before recovery");
      const bool worked = run->before();
      finish(time, worked, run->name() + " before recovery");
    }
    for (const auto& run : runs_) {
      if (shared_.request.before_only) break;
      time.start(run->name() + " recovery");
      const bool worked = run->feasible() && run->after();
      finish(time, worked, run->name() + " recovery");
    }
    return save();
  }

 private:
  std::vector<double> estimates(const Costs& costs, const std::vector<std::int64_t>& levels,
                                const std::vector<const Method*>& methods) const {
    std::vector<double> before, after;
    for (const std::int64_t level : levels) {
      for (const Method* method : methods) {
        const double ratio = static_cast<double>(level) / 100;
        before.push_back(costs.before(ratio, level == levels.front() ? method->calibration_passes : 0));
        after.push_back(method->recovery == Recovery::kNone ? 0 : costs.after(ratio));
      }
    }
    if (!shared_.request.before_only) before.insert(before.end(), after.begin(), after.end());
    return before;
  }

  void finish(TimeEstimate& time, bool worked, const std::string& piece) {
    const double seconds = time.finish(worked);
    save();
    if (worked) spdlog::info("{}: done in {}", piece, format_duration(seconds));
    if (worked && shared_.request.after_piece) shared_.request.after_piece(piece);
    stop_if_interrupted();
  }

  // What is known so far, as files and as a document.
  json save() const {
    json results = json::array();
    for (const auto& run : runs_) {
      if (!run->result().is_null()) results.push_back(run->result());
    }
    require_equal_data(results);
    json full = full_;
    full.erase("key");
    json document = {{"full", full}, {"results", results}, {"comparison", compare_at_equal_cost(results, full)}};
    write_json(shared_.folder() / "baselines.json", document);
    draw_charts(shared_.folder() / "baselines.svg", baseline_charts(results, full));
    return document;
  }

  SharedData& shared_;
  Schedule schedule_;
  json full_;
  MethodInputs inputs_;
  Recoverer recoverer_;
  std::vector<std::unique_ptr<CandidateRun>> runs_;
  std::vector<double> seconds_;
};

}  // namespace

json run_baselines(const PipelineConfig& config, const fs::path& run_dir, const BaselinesRequest& request) {
  const std::vector<const Method*> methods = find_methods(request.methods);
  const std::vector<std::int64_t> levels = wanted_levels(config, request);
  run_stages(config, run_dir, std::string(methods.front()->name) == "ours");
  set_compute_threads(config.threads, Checkpoint::open(config.checkpoint).config());
  const InterruptWatch watch;
  try {
    SharedData shared(config, run_dir, request);
    return Harness(shared, methods, levels).run();
  } catch (const Interrupted& stopped) {
    throw Interrupted(stopped.signal(), fmt::format("{} in baselines: what is done is kept; the same command goes on "
                                                    "from here",
                                                    stopped.what()));
  }
}

json run_correlation(const PipelineConfig& config, const fs::path& run_dir) {
  run_stages(config, run_dir, false);
  set_compute_threads(config.threads, Checkpoint::open(config.checkpoint).config());
  const InterruptWatch watch;
  SharedData shared(config, run_dir, {});
  bool worked = false;
  const std::string key = hash_text(json({shared.key, config_to_json(config.profile)}).dump());
  json result = kept_json(shared.folder() / "correlation.json", key, worked, [&] {
    return score_correlation(shared.full, shared.calibration, config.profile, shared.seed(), shared.folder(), key);
  });
  result.erase("key");
  return result;
}

}  // namespace elastify
