#include "finetune/adapter_trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/plot.h"
#include "base/stopwatch.h"
#include "finetune/level_state.h"
#include "train/metrics_log.h"

namespace elastify {
namespace {

constexpr std::int64_t kBadStepsAllowed = 8;  // in a row
// Of the adapter's scale, tried for each level at the end: what serves several levels is too much for the largest.
constexpr double kScaleShares[] = {1, 0.85, 0.7, 0.5};
constexpr const char* kCheckpoint = "checkpoint.safetensors";

std::uint64_t seed_for(std::uint64_t seed, const char* purpose, std::int64_t level) {
  return derive_seed(seed, purpose, static_cast<std::uint64_t>(level));
}

Adapter initial_adapter(const AdapterTask& task) {
  std::vector<Target> targets;
  for (const auto& name : task.config.targets) targets.push_back(parse_target(name));
  Adapter fresh = make_adapter(slice_weights(task.weights, task.widths), targets, task.config.rank, task.config.alpha,
                               task.config.dropout, seed_for(task.seed, "adapter", task.seed_level()));
  if (task.parent == nullptr) return fresh;
  fresh.blocks = slice_adapter(*task.parent, task.weights.config, task.widths).blocks;
  return fresh;
}

std::vector<LevelWidths> widths_of(const std::vector<LevelPlan>& levels) {
  std::vector<LevelWidths> widths;
  for (const LevelPlan& plan : levels) widths.push_back(plan.widths);
  return widths;
}

std::int64_t rows_in_pass(const AdapterTask& task) {
  return std::max<std::int64_t>(1, task.config.batch_rows / passes_of_step(task.config, task.train.seq()));
}

class AdapterTrainer {
 public:
  explicit AdapterTrainer(const AdapterTask& task)
      : task_(task),
        name_(task.levels.size() == 1 ? fmt::format("finetune level {}", task.levels[0].level)
                                      : fmt::format("finetune {} levels", task.levels.size())),
        stepper_(make_stepper(task)),
        order_(row_order(task)),
        sample_(held_out_sample(task)) {}

  std::vector<LevelResult> run() {
    resume();
    MetricsLog metrics(task_.directory / "metrics.jsonl", state_.metrics_bytes);
    const std::vector<RowLosses> before = losses_without();
    Progress progress(name_, task_.schedule.steps, "steps");
    progress.resume_at(state_.step);
    Stopwatch saved;
    while (state_.step < task_.schedule.steps && !stale()) {
      const Stopwatch step;
      one_step(metrics, progress);
      state_.seconds += step.seconds();
      if (task_.after_step) task_.after_step(task_.seed_level(), state_.step);
      if (interrupted() != 0 || saved.seconds() >= task_.config.checkpoint_seconds) {
        checkpoint(metrics);
        saved.restart();
        stop_if_interrupted();
      }
    }
    checkpoint(metrics);
    return finish(before);
  }

 private:
  fs::path checkpoint_path() const { return task_.directory / kCheckpoint; }
  bool stale() const { return task_.config.patience > 0 && state_.stale >= task_.config.patience; }

  // On all of the held-out text, by level.
  template <typename Losses>
  std::vector<RowLosses> on_held_out(Losses&& losses_of_level) {
    std::vector<RowLosses> losses;
    Progress progress(name_ + ": held-out text", static_cast<std::int64_t>(task_.levels.size()), "levels");
    for (std::size_t level = 0; level < task_.levels.size(); ++level) {
      losses.push_back(losses_of_level(level));
      progress.update(static_cast<std::int64_t>(level) + 1);
      stop_if_interrupted();
    }
    return losses;
  }
  std::vector<RowLosses> losses_without() {
    return on_held_out([&](std::size_t level) {
      return stepper_.student().losses(level, false, task_.held_out, rows_in_pass(task_));
    });
  }
  std::vector<RowLosses> losses_with(const Adapter& adapter, const std::vector<double>& scales) {
    return on_held_out([&](std::size_t level) {
      return stepper_.student().losses_with(level, scaled(adapter, scales[level]), task_.held_out, rows_in_pass(task_));
    });
  }

  static Adapter scaled(Adapter adapter, double scale) {
    adapter.scale = scale;
    return adapter;
  }

  // The share of the adapter's scale at which the level's loss on the sample is least, times the scale.
  double best_scale(std::size_t level, const Adapter& adapter) {
    double best = adapter.scale, least = std::numeric_limits<double>::infinity();
    for (const double share : kScaleShares) {
      const double scale = share * adapter.scale;
      const double loss =
          stepper_.student().losses_with(level, scaled(adapter, scale), sample_, rows_in_pass(task_)).mean();
      if (loss < least) least = loss, best = scale;
      stop_if_interrupted();
    }
    return best;
  }

  void resume() {
    if (auto found = load_level_state(checkpoint_path(), task_.key, stepper_)) {
      state_ = std::move(*found);
      stepper_.student().take_values();
      spdlog::info("{}: going on after step {}", name_, state_.step);
      return;
    }
    std::error_code error;
    fs::remove_all(task_.directory, error);  // of other inputs or settings
    if (!fs::create_directories(task_.directory, error)) {
      fail(ErrorCode::kInternal, "cannot create {}: {}", task_.directory.string(), error.message());
    }
  }

  void checkpoint(MetricsLog& metrics) {
    state_.metrics_bytes = metrics.sync();
    save_level_state(checkpoint_path(), state_, task_.key, stepper_);
  }

  void one_step(MetricsLog& metrics, Progress& progress) {
    const std::int64_t step = ++state_.step, batch = task_.config.batch_rows;
    const double rate = task_.schedule.rate(step);
    const StepOutcome outcome = stepper_.step(task_.train, order_.rows((step - 1) * batch, batch), step, rate);
    state_.step_seconds.push_back(outcome.seconds);
    state_.line_tokens += outcome.tokens;
    state_.line_seconds += outcome.seconds;
    if (outcome.skipped) {
      note_bad_step(metrics, outcome);
    } else {
      state_.bad_steps = 0;
      state_.line_loss += outcome.loss;
      ++state_.line_steps;
    }
    const bool last = step == task_.schedule.steps, evaluate = last || step % task_.schedule.eval_every == 0;
    if (evaluate || step % task_.config.log_every == 0)
      write_line(metrics, progress, rate, outcome.gradient_norm, evaluate);
  }

  void note_bad_step(MetricsLog& metrics, const StepOutcome& outcome) {
    ++state_.bad_steps;
    metrics.append({{"level", task_.seed_level()}, {"step", state_.step}, {"skipped", true}});
    spdlog::warn("{}: step {} skipped: loss {}, gradient norm {}", name_, state_.step, outcome.loss,
                 outcome.gradient_norm);
    if (state_.bad_steps < kBadStepsAllowed) return;
    fail_data(
        "{}: no finite loss in {} steps in a row: lower learning_rate (now {:.3g}) or check the checkpoint with "
        "`elastify eval`",
        name_, state_.bad_steps, task_.schedule.peak);
  }

  void write_line(MetricsLog& metrics, Progress& progress, double rate, double gradient_norm, bool evaluate) {
    const double loss = state_.line_steps > 0 ? state_.line_loss / static_cast<double>(state_.line_steps) : NAN;
    const double speed = static_cast<double>(state_.line_tokens) / std::max(1e-9, state_.line_seconds);
    nlohmann::json line = {
        {"level", task_.seed_level()},    {"step", state_.step},  {"loss", loss}, {"learning_rate", rate},
        {"gradient_norm", gradient_norm}, {"tokens_per_s", speed}};
    if (evaluate) {
      const Stopwatch watch;
      std::vector<double> by_level;
      line["held_out"] = evaluate_now(by_level);
      line["held_out_by_level"] = by_level;
      state_.evaluation_seconds += watch.seconds();
    }
    metrics.append(line);
    progress.update(state_.step, fmt::format("loss {:.4f}, {:.0f} tokens/s", loss, speed));
    state_.line_loss = state_.line_seconds = 0;
    state_.line_steps = state_.line_tokens = 0;
  }

  // The mean over levels of the sample's losses; keeps the values where it is the least so far.
  double evaluate_now(std::vector<double>& by_level) {
    by_level = losses_by_level(stepper_, task_, sample_);
    const double loss = std::accumulate(by_level.begin(), by_level.end(), 0.0) / static_cast<double>(by_level.size());
    ++state_.stale;
    if (loss < state_.best_loss) {
      state_.best_loss = loss;
      state_.best_step = state_.step;
      state_.best = stepper_.flat().values.clone();
      state_.stale = 0;
    }
    return loss;
  }

  // Rounds to what ships and applies the gate, level by level.
  std::vector<LevelResult> finish(const std::vector<RowLosses>& before) {
    std::vector<LevelResult> results;
    std::map<std::int64_t, double> kept;  // with their scales
    std::optional<Adapter> best;
    std::vector<RowLosses> after = before;
    std::vector<double> scales(task_.levels.size());
    if (state_.best.defined()) {
      best = round_to_half(unflatten_adapter(stepper_.adapter(), state_.best));
      for (std::size_t i = 0; i < scales.size(); ++i) scales[i] = best_scale(i, *best);
      after = losses_with(*best, scales);
    }
    for (std::size_t i = 0; i < task_.levels.size(); ++i) {
      LevelResult result = figures(task_.levels[i]);
      result.loss_before = before[i].mean();
      result.loss_after = after[i].mean();
      result.gain_error = best ? difference_error(before[i], after[i]) : 0;
      result.kept = best && result.loss_after < result.loss_before;
      result.adapter_scale = scales[i];
      if (result.kept) kept[result.level] = scales[i];
      if (!result.kept) {
        spdlog::warn(
            "finetune level {}: the adapter does not improve held-out loss ({:.4f} without, {:.4f} with): not kept",
            result.level, result.loss_before, result.loss_after);
      }
      results.push_back(result);
    }
    if (!kept.empty()) save_adapter(task_.directory, task_.shared ? *best : scaled(*best, scales[0]), kept);
    plot();
    for (LevelResult& result : results) result.peak_rss_bytes = peak_resident_bytes();
    return results;
  }

  LevelResult figures(const LevelPlan& plan) const {
    LevelResult r;
    r.level = plan.level;
    r.block_ratio = plan.block_ratio;
    r.total_ratio = plan.total_ratio;
    r.loss_full = task_.loss_full;
    r.shared = task_.shared;
    r.steps_planned = task_.schedule.steps;
    r.steps_run = state_.step;
    r.best_step = state_.best_step;
    r.learning_rate = task_.schedule.peak;
    r.adapter_weights = slice_adapter(stepper_.adapter(), task_.weights.config, plan.widths).weight_count();
    r.held_out_tokens = task_.held_out.target_count();
    r.tokens = state_.step * task_.config.batch_rows * task_.train.seq();
    r.seconds = state_.seconds;
    r.evaluation_seconds = state_.evaluation_seconds;
    r.step_seconds = median(state_.step_seconds);
    return r;
  }

  void plot() const {
    Series train{"training", {}, {}};
    std::vector<Series> held;
    for (const LevelPlan& plan : task_.levels) held.push_back({fmt::format("level {}, held out", plan.level), {}, {}});
    for (const auto& line : read_metrics(task_.directory / "metrics.jsonl")) {
      if (line.contains("loss") && line["loss"].is_number()) {
        train.x.push_back(line["step"]);
        train.y.push_back(line["loss"]);
      }
      if (!line.contains("held_out_by_level")) continue;
      for (std::size_t i = 0; i < held.size(); ++i) {
        const auto& value = line["held_out_by_level"].at(i);
        if (!value.is_number()) continue;
        held[i].x.push_back(line["step"]);
        held[i].y.push_back(value);
      }
    }
    train.name = fmt::format("training ({})", task_.config.loss);
    held.insert(held.begin(), train);
    draw_plot(task_.directory / "loss.svg",
              {"Recovery", "step", "loss, nats per token", false, false, std::move(held)});
  }

  const AdapterTask& task_;
  std::string name_;
  Stepper stepper_;
  RowOrder order_;
  TokenRows sample_;
  LevelState state_;
};

}  // namespace

std::vector<LevelResult> train_adapter(const AdapterTask& task) { return AdapterTrainer(task).run(); }

void remove_checkpoint(const AdapterTask& task) {
  std::error_code ignored;
  fs::remove(task.directory / kCheckpoint, ignored);
}

torch::Tensor rows_of_training(std::int64_t seed_level, std::uint64_t seed, const FinetuneConfig& config,
                               const Schedule& schedule, std::int64_t text_rows) {
  RowOrder order(text_rows, seed_for(seed, "rows", seed_level));
  const std::int64_t wanted = schedule.steps * config.batch_rows;
  if (wanted >= text_rows) return torch::arange(text_rows, torch::kInt64);
  return std::get<0>(order.rows(0, wanted).sort());
}

Stepper make_stepper(const AdapterTask& task) {
  return {task.weights,    widths_of(task.levels), initial_adapter(task),
          task.config,     task.teacher,           seed_for(task.seed, "training", task.seed_level()),
          task.train.seq()};
}

RowOrder row_order(const AdapterTask& task) {
  return {task.train.rows(), seed_for(task.seed, "rows", task.seed_level())};
}

TokenRows held_out_sample(const AdapterTask& task) {
  const TokenRows& text = task.held_out;
  const std::int64_t rows = std::clamp<std::int64_t>(task.config.eval_tokens / text.seq(), 1, text.rows());
  return {text.inputs.narrow(0, 0, rows), text.targets.narrow(0, 0, rows)};
}

std::vector<double> losses_by_level(Stepper& stepper, const AdapterTask& task, const TokenRows& text) {
  std::vector<double> losses;
  for (std::size_t level = 0; level < task.levels.size(); ++level)
    losses.push_back(stepper.student().losses(level, true, text, rows_in_pass(task)).mean());
  return losses;
}

double mean_over_levels(Stepper& stepper, const AdapterTask& task, const TokenRows& text) {
  const std::vector<double> losses = losses_by_level(stepper, task, text);
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace elastify
