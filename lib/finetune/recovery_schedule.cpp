#include "finetune/recovery_schedule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace elastify {

double default_learning_rate(std::int64_t hidden_size) {
  return std::min(1e-2, 1e-4 * std::pow(4096 / static_cast<double>(hidden_size), 4.0 / 3));
}

namespace {

// An evaluation reads a sample once per level, forward only: a third of a training pass per token.
std::int64_t steps_between_evaluations(const FinetuneConfig& config, std::int64_t steps, std::int64_t seq,
                                       std::int64_t levels) {
  const double trained = static_cast<double>(steps * config.batch_rows * seq),
               one = static_cast<double>(levels * std::max(seq, config.eval_tokens)) / 3;
  const double times = std::clamp(0.05 * trained / one, 2.0, 20.0);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(steps) / times));
}

}  // namespace

Schedule make_schedule(const FinetuneConfig& config, std::int64_t hidden_size, std::int64_t rows, std::int64_t seq,
                       std::int64_t levels) {
  Schedule schedule;
  schedule.steps = config.steps;
  if (schedule.steps == 0) {
    schedule.steps = static_cast<std::int64_t>(
        std::ceil(config.epochs * static_cast<double>(rows) / static_cast<double>(config.batch_rows)));
  }
  if (rows < 1 || schedule.steps < 1)
    fail_usage("finetune: nothing to train on: {} rows, {} steps", rows, schedule.steps);
  schedule.warmup_steps = std::min(config.warmup_steps, schedule.steps / 10);
  schedule.peak = config.learning_rate > 0 ? config.learning_rate : default_learning_rate(hidden_size);
  schedule.final_share = config.final_rate;
  schedule.eval_every =
      config.eval_every > 0 ? config.eval_every : steps_between_evaluations(config, schedule.steps, seq, levels);
  return schedule;
}

}  // namespace elastify
