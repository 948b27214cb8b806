#include "baselines/recover.h"

#include <algorithm>

#include "base/hash.h"
#include "finetune/rate_trial.h"
#include "finetune/recovery_schedule.h"
#include "finetune/stepper.h"
#include "finetune/student.h"
#include "profile/resume.h"

namespace elastify {

FinetuneConfig shared_settings(const FinetuneConfig& config, std::int64_t context, std::int64_t tokens) {
  FinetuneConfig shared = config;
  shared.levels.clear();
  shared.adapters = "levels";
  shared.inherit = false;
  shared.patience = 0;
  shared.base_dtype = "f32";
  shared.dtype = "float32";
  shared.seq = std::min(config.seq, context);
  if (tokens > 0) {
    const std::int64_t step = shared.batch_rows * shared.seq;
    shared.steps = std::max<std::int64_t>(1, (tokens + step - 1) / step);
  }
  shared.accumulation = passes_of_step(shared, shared.seq);
  return shared;
}

Schedule shared_schedule(const FinetuneConfig& config, std::int64_t hidden_size, const TokenRows& train) {
  Schedule schedule = make_schedule(config, hidden_size, train.rows(), train.seq());
  if (config.eval_every == 0) schedule.eval_every = schedule.steps;
  return schedule;
}

const Teacher* Recoverer::teacher() {
  const FinetuneConfig& config = input_.config;
  if (config.loss != "distill" || config.distill_weight == 0) return nullptr;
  if (teacher_) return &*teacher_;
  std::vector<torch::Tensor> wanted;
  for (const std::int64_t level : input_.levels)
    wanted.push_back(rows_of_training(level, input_.seed, config, schedule_, input_.train.rows()));
  const torch::Tensor rows = std::get<0>(torch::_unique2(torch::cat(wanted)));
  StatesAndHead full = full_states(input_.full.weights(), config, input_.train.seq());
  const std::string key = hash_text(fmt::format("{} {} {} {} {} {}", input_.key, config.teacher_top, config.temperature,
                                                config.products, tensor_hash(rows), tensor_hash(input_.train.inputs)));
  teacher_.emplace(TeacherTask{std::move(full.states), full.head, input_.train, rows, config.teacher_top,
                               config.temperature, input_.teacher, key});
  return &*teacher_;
}

LevelResult Recoverer::run(const Candidate& candidate, const std::string& key, const fs::path& directory) {
  if (auto done = load_level_result(directory, key)) return *done;
  Schedule schedule = schedule_;
  const AdapterTask task{{candidate.plan},  candidate.plan.widths,
                         candidate.weights, input_.train,
                         input_.held_out,   input_.config,
                         schedule,          teacher(),
                         nullptr,           input_.loss_full,
                         input_.seed,       key,
                         directory,         {}};
  if (input_.config.learning_rate == 0 && input_.config.rate_trials) {
    const auto rates = rates_to_try(input_.full.config().hidden_size);
    fs::create_directories(directory);
    schedule.peak = best_rate(try_rates(task, rates, directory / "rates.json"));
  }
  const LevelResult result = train_adapter(task).front();
  save_level_result(directory, result, key);  // it says that the level is done
  remove_checkpoint(task);
  return result;
}

}  // namespace elastify
