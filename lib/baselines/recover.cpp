#include "baselines/recover.h"

#include <algorithm>

#include "finetune/recovery_schedule.h"

namespace elastify {

FinetuneConfig shared_settings(const FinetuneConfig& config, std::int64_t context, std::int64_t tokens) {
  FinetuneConfig shared = config;
  shared.levels.clear();
  shared.inherit = false;
  shared.patience = 0;
  shared.base_dtype = "f32";
  shared.dtype = "float32";
  shared.seq = std::min(config.seq, context);
  if (tokens > 0) {
    const std::int64_t step = shared.batch_rows * shared.seq;
    shared.steps = std::max<std::int64_t>(1, (tokens + step - 1) / step);
  }
  return shared;
}

Schedule shared_schedule(const FinetuneConfig& config, std::int64_t hidden_size, std::int64_t rows) {
  Schedule schedule = make_schedule(config, hidden_size, rows);
  if (config.eval_every == 0) schedule.eval_every = schedule.steps;
  return schedule;
}

const Teacher* Recoverer::teacher() {
  if (input_.config.loss != "distill") return nullptr;
  if (!teacher_)
    teacher_.emplace(input_.full, input_.train, input_.config.teacher_cache_mib << 20, input_.config.workers);
  return &*teacher_;
}

LevelResult Recoverer::run(const Candidate& candidate, const std::string& key, const fs::path& directory) {
  if (auto done = load_level_result(directory, key)) return *done;
  return train_level({candidate.plan,
                      candidate.weights,
                      input_.train,
                      input_.held_out,
                      input_.config,
                      schedule_,
                      teacher(),
                      nullptr,
                      input_.loss_full,
                      input_.seed,
                      key,
                      directory,
                      {}});
}

}  // namespace elastify
