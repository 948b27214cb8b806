// Recovery of one level: steps, evaluations, checkpoints, and the gate at the end.
#pragma once

#include <functional>

#include "finetune/finetune_config.h"
#include "finetune/level_result.h"
#include "finetune/teacher.h"
#include "reorder/plan.h"
#include "train/schedule.h"

namespace elastify {

struct LevelTask {
  const LevelPlan& plan;
  const ModelWeights& weights;  // full, reordered, frozen, rounded to config.base_dtype
  const TokenRows& train;
  const TokenRows& held_out;
  const FinetuneConfig& config;
  const Schedule& schedule;
  const Teacher* teacher = nullptr;  // null for next-token loss alone
  const Adapter* parent = nullptr;   // the next larger level's, to start from; null: a fresh one
  double loss_full = 0;
  std::uint64_t seed = 0;
  std::string key;     // names everything that the result depends on
  fs::path directory;  // adapters/level_NN
  // Called after each step, before its checkpoint; an exception leaves the level as a kill would.
  std::function<void(std::int64_t level, std::int64_t step)> after_step;
};

// Goes on from the directory's checkpoint where its key fits. Leaves metrics.jsonl, loss.svg, result.json and, where
// the adapter improves held-out loss, adapter.safetensors and adapter_config.json. Throws Error(kBadData) after several
// steps in a row without a finite loss.
LevelResult train_level(const LevelTask& task);

double median(std::vector<double> values);  // 0 for none

}  // namespace elastify
