#include "finetune/rate_trial.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "finetune/recovery_schedule.h"
#include "finetune/stepper.h"

namespace elastify {
namespace {

constexpr std::int64_t kFewest = 4, kMost = 16;  // steps of a trial

nlohmann::json trials_to_json(const std::vector<RateTrial>& trials, const std::string& key) {
  nlohmann::json list = nlohmann::json::array();
  for (const RateTrial& trial : trials) list.push_back({{"rate", trial.rate}, {"loss", trial.loss}});
  return {{"about", "held-out loss after a short training at each learning rate"}, {"key", key}, {"trials", list}};
}

std::vector<RateTrial> load_trials(const fs::path& path, const std::string& key) {
  if (!fs::exists(path)) return {};
  const auto document = read_json(path);
  std::vector<RateTrial> trials;
  try {
    if (document.at("key") != key) return {};
    for (const auto& entry : document.at("trials")) {
      const auto& loss = entry.at("loss");  // null stands for a loss that was not finite
      trials.push_back({entry.at("rate").get<double>(),
                        loss.is_number() ? loss.get<double>() : std::numeric_limits<double>::infinity()});
    }
  } catch (const nlohmann::json::exception& error) {
    fail_data("{} is damaged: {}; remove it and run the finetune stage again", path.string(), error.what());
  }
  return trials;
}

double loss_after_trial(const AdapterTask& task, double rate, std::int64_t steps) {
  Schedule schedule = task.schedule;
  schedule.steps = steps;
  schedule.warmup_steps = steps / 5;
  schedule.peak = rate;
  Stepper stepper = make_stepper(task);
  RowOrder order = row_order(task);
  for (std::int64_t step = 1; step <= steps; ++step) {
    const std::int64_t rows = task.config.batch_rows;
    stepper.step(task.train, order.rows((step - 1) * rows, rows), step, schedule.rate(step));
    stop_if_interrupted();
  }
  return mean_over_levels(stepper, task, held_out_sample(task));
}

}  // namespace

std::vector<double> rates_to_try(std::int64_t hidden_size) {
  const double rule = default_learning_rate(hidden_size);
  return {rule, 2.5 * rule, 6 * rule};
}

std::vector<RateTrial> try_rates(const AdapterTask& task, const std::vector<double>& rates, const fs::path& path) {
  const std::int64_t steps = std::clamp(task.schedule.steps / 25, std::min(kFewest, task.schedule.steps), kMost);
  std::vector<RateTrial> trials = load_trials(path, task.key);
  Progress progress("learning rates", static_cast<std::int64_t>(rates.size()), "trials");
  progress.resume_at(static_cast<std::int64_t>(trials.size()));
  for (std::size_t i = trials.size(); i < rates.size(); ++i) {
    trials.push_back({rates[i], loss_after_trial(task, rates[i], steps)});
    write_json(path, trials_to_json(trials, task.key));
    progress.update(static_cast<std::int64_t>(i) + 1, fmt::format("{:.3g}: loss {:.4f}", rates[i], trials[i].loss));
  }
  return trials;
}

double best_rate(const std::vector<RateTrial>& trials) {
  const auto best = std::min_element(trials.begin(), trials.end(),
                                     [](const RateTrial& a, const RateTrial& b) { return a.loss < b.loss; });
  if (best == trials.end() || !std::isfinite(best->loss))
    fail_data("finetune: no learning rate that was tried gives a finite loss: set finetune.learning_rate");
  return best->rate;
}

}  // namespace elastify
