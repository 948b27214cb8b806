// Recovery of one adapter, for one level or for several that share it: steps, evaluations, checkpoints, and the gate at
// the end.
#pragma once

#include <functional>

#include "finetune/finetune_config.h"
#include "finetune/level_result.h"
#include "finetune/stepper.h"
#include "finetune/teacher.h"
#include "reorder/plan.h"
#include "train/schedule.h"

namespace elastify {

struct AdapterTask {
  std::vector<LevelPlan> levels;  // ascending, at least one; the adapter is cut to each
  LevelWidths widths;             // of the adapter: the one level's, or the full model's
  const ModelWeights& weights;    // full, reordered, frozen, rounded to config.base_dtype
  const TokenRows& train;
  const TokenRows& held_out;
  const FinetuneConfig& config;
  const Schedule& schedule;
  const Teacher* teacher = nullptr;  // null for next-token loss alone
  const Adapter* parent = nullptr;   // of at least these widths, to start from; null: a fresh one
  double loss_full = 0;
  std::uint64_t seed = 0;
  std::string key;     // names everything that the result depends on
  fs::path directory;  // of the adapter: adapters/level_NN or adapters/shared
  // Called after each step, before its checkpoint; an exception leaves the run as a kill would. `level`: the smallest.
  std::function<void(std::int64_t level, std::int64_t step)> after_step;
  bool shared = false;  // the adapter goes to adapters/shared

  std::int64_t seed_level() const { return levels.front().level; }
};

// Goes on from the directory's checkpoint where its key fits. Leaves metrics.jsonl, loss.svg and, where it improves a
// level's held-out loss, adapter.safetensors and adapter_config.json, which names the levels that it is for, each with
// its scale: the full one or that share of it which is best on held_out_sample(). Results
// are returned, ascending, not saved. Throws Error(kBadData) after several steps in a row without a finite loss.
std::vector<LevelResult> train_adapter(const AdapterTask& task);
// For the caller, once the results are saved: until then a stop loses nothing, and train_adapter() only evaluates
// again.
void remove_checkpoint(const AdapterTask& task);

// The rows that its steps read, ascending, each once.
torch::Tensor rows_of_training(std::int64_t seed_level, std::uint64_t seed, const FinetuneConfig& config,
                               const Schedule& schedule, std::int64_t text_rows);

// The parts of it, for shorter trainings of the same task.
Stepper make_stepper(const AdapterTask& task);
RowOrder row_order(const AdapterTask& task);
TokenRows held_out_sample(const AdapterTask& task);  // what is evaluated while training
std::vector<double> losses_by_level(Stepper& stepper, const AdapterTask& task, const TokenRows& text);
double mean_over_levels(Stepper& stepper, const AdapterTask& task, const TokenRows& text);

double median(std::vector<double> values);  // 0 for none

}  // namespace elastify
