#include "finetune/level_trainer.h"

#include <algorithm>
#include <cmath>

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

Adapter initial_adapter(const LevelTask& task, const ModelWeights& sliced) {
  std::vector<Target> targets;
  for (const auto& name : task.config.targets) targets.push_back(parse_target(name));
  Adapter fresh = make_adapter(sliced, targets, task.config.rank, task.config.alpha, task.config.dropout,
                               derive_seed(task.seed, "adapter", static_cast<std::uint64_t>(task.plan.level)));
  if (task.parent == nullptr) return fresh;
  fresh.blocks = slice_adapter(*task.parent, task.weights.config, task.plan.widths).blocks;
  return fresh;
}

class LevelTrainer {
 public:
  explicit LevelTrainer(const LevelTask& task)
      : task_(task),
        decoder_(slice_weights(task.weights, task.plan.widths)),
        stepper_(decoder_, initial_adapter(task, decoder_.weights()), task.config, task.teacher,
                 level_seed("training")),
        order_(task.train.rows(), level_seed("rows")) {}

  LevelResult run() {
    resume();
    MetricsLog metrics(task_.directory / "metrics.jsonl", state_.metrics_bytes);
    const double loss_before = mean_loss(decoder_, nullptr, task_.held_out, rows_at_once(), task_.config.workers);
    Progress progress(fmt::format("finetune level {}", task_.plan.level), task_.schedule.steps, "steps");
    progress.resume_at(state_.step);
    Stopwatch saved;
    while (state_.step < task_.schedule.steps && !stale()) {
      const Stopwatch step;
      one_step(metrics, progress);
      state_.seconds += step.seconds();
      if (task_.after_step) task_.after_step(task_.plan.level, state_.step);
      if (interrupted() != 0 || saved.seconds() >= task_.config.checkpoint_seconds) {
        checkpoint(metrics);
        saved.restart();
        stop_if_interrupted();
      }
    }
    checkpoint(metrics);
    return finish(loss_before);
  }

 private:
  std::uint64_t level_seed(const char* purpose) const {
    return derive_seed(task_.seed, purpose, static_cast<std::uint64_t>(task_.plan.level));
  }
  std::int64_t rows_at_once() const {
    return std::max<std::int64_t>(1, task_.config.batch_rows / task_.config.accumulation);
  }
  fs::path checkpoint_path() const { return task_.directory / "checkpoint.safetensors"; }
  bool stale() const { return task_.config.patience > 0 && state_.stale >= task_.config.patience; }

  void resume() {
    if (auto found = load_level_state(checkpoint_path(), task_.key, stepper_)) {
      state_ = std::move(*found);
      spdlog::info("finetune level {}: going on after step {}", task_.plan.level, state_.step);
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
    state_.student_seconds.push_back(outcome.student_seconds);
    state_.teacher_seconds.push_back(outcome.teacher_seconds);
    state_.line_tokens += outcome.tokens;
    state_.line_seconds += outcome.student_seconds + outcome.teacher_seconds;
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
    metrics.append({{"level", task_.plan.level}, {"step", state_.step}, {"skipped", true}});
    spdlog::warn("finetune level {}: step {} skipped: loss {}, gradient norm {}", task_.plan.level, state_.step,
                 outcome.loss, outcome.gradient_norm);
    if (state_.bad_steps < kBadStepsAllowed) return;
    fail_data(
        "finetune level {}: no finite loss in {} steps in a row: lower learning_rate (now {:.3g}) or check the "
        "checkpoint with `elastify eval`",
        task_.plan.level, state_.bad_steps, task_.schedule.peak);
  }

  void write_line(MetricsLog& metrics, Progress& progress, double rate, double gradient_norm, bool evaluate) {
    const double loss = state_.line_steps > 0 ? state_.line_loss / static_cast<double>(state_.line_steps) : NAN;
    const double speed = static_cast<double>(state_.line_tokens) / std::max(1e-9, state_.line_seconds);
    nlohmann::json line = {
        {"level", task_.plan.level},      {"step", state_.step},  {"loss", loss}, {"learning_rate", rate},
        {"gradient_norm", gradient_norm}, {"tokens_per_s", speed}};
    if (evaluate) line["held_out"] = evaluate_now();
    metrics.append(line);
    progress.update(state_.step, fmt::format("loss {:.4f}, {:.0f} tokens/s", loss, speed));
    state_.line_loss = state_.line_seconds = 0;
    state_.line_steps = state_.line_tokens = 0;
  }

  double evaluate_now() {
    const double loss = mean_loss(decoder_, &stepper_.adapter(), task_.held_out, rows_at_once(), task_.config.workers);
    ++state_.stale;
    if (loss < state_.best_loss) {
      state_.best_loss = loss;
      state_.best_step = state_.step;
      state_.best = stepper_.flat().values.clone();
      state_.stale = 0;
    }
    return loss;
  }

  // Rounds to what ships, applies the gate, writes the result last: it says that the level is done.
  LevelResult finish(double loss_before) {
    LevelResult result = figures();
    result.loss_before = result.loss_after = loss_before;
    if (state_.best.defined()) {
      const Adapter best = round_to_half(unflatten_adapter(stepper_.adapter(), state_.best));
      const double loss = mean_loss(decoder_, &best, task_.held_out, rows_at_once(), task_.config.workers);
      result.kept = loss < loss_before;
      result.loss_after = loss;
      if (result.kept) save_adapter(task_.directory, best);
    }
    if (!result.kept) {
      spdlog::warn(
          "finetune level {}: the adapter does not improve held-out loss ({:.4f} without, {:.4f} with): not kept",
          result.level, result.loss_before, result.loss_after);
    }
    plot();
    result.peak_rss_bytes = peak_resident_bytes();
    save_level_result(task_.directory, result, task_.key);
    std::error_code ignored;
    fs::remove(checkpoint_path(), ignored);
    return result;
  }

  LevelResult figures() const {
    LevelResult r;
    r.level = task_.plan.level;
    r.block_ratio = task_.plan.block_ratio;
    r.total_ratio = task_.plan.total_ratio;
    r.loss_full = task_.loss_full;
    r.steps_planned = task_.schedule.steps;
    r.steps_run = state_.step;
    r.best_step = state_.best_step;
    r.learning_rate = task_.schedule.peak;
    r.adapter_weights = stepper_.adapter().weight_count();
    r.seconds = state_.seconds;
    r.step_seconds = median(state_.student_seconds);
    r.teacher_seconds = median(state_.teacher_seconds);
    return r;
  }

  void plot() const {
    Series train{"training", {}, {}}, held{"held out (next token)", {}, {}};
    for (const auto& line : read_metrics(task_.directory / "metrics.jsonl")) {
      if (line.contains("loss") && line["loss"].is_number()) {
        train.x.push_back(line["step"]);
        train.y.push_back(line["loss"]);
      }
      if (line.contains("held_out") && line["held_out"].is_number()) {
        held.x.push_back(line["step"]);
        held.y.push_back(line["held_out"]);
      }
    }
    train.name = fmt::format("training ({})", task_.config.loss);
    draw_plot(task_.directory / "loss.svg", {fmt::format("Recovery of level {}", task_.plan.level),
                                             "step",
                                             "loss, nats per token",
                                             false,
                                             false,
                                             {train, held}});
  }

  const LevelTask& task_;
  Decoder decoder_;
  Stepper stepper_;
  RowOrder order_;
  LevelState state_;
};

}  // namespace

LevelResult train_level(const LevelTask& task) { return LevelTrainer(task).run(); }

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace elastify
