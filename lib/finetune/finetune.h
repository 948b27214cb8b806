// The recovery stage: one adapter per level on the physically sliced sub-models of one frozen model.
#pragma once

#include "finetune/level_trainer.h"

namespace elastify {

struct FinetuneInput {
  const ModelWeights& weights;    // reordered; its device and dtype are used
  std::vector<LevelPlan> levels;  // of the plan, any order; 100 is left out
  const TokenRows& train;
  const TokenRows& held_out;
  fs::path directory;  // adapters/
  std::uint64_t seed = 0;
  std::string key;  // hash of the weights, plan and text, so that stale results are not taken for this run's
  std::function<void(std::int64_t level, std::int64_t step)> after_step;  // see LevelTask
};

struct FinetuneSummary {
  double loss_full = 0;              // of the full level, rounded to base_dtype
  double teacher_cache_seconds = 0;  // 0 where the teacher runs in every step
  double seconds = 0;                // of this process
  std::vector<LevelResult> levels;   // ascending
};

// Settings that are each possible but not together, or not with a plan of these levels: "targets: expected ...".
std::vector<std::string> settings_problems(const FinetuneConfig& config, const std::vector<std::int64_t>& levels);

// Levels run from the largest to the smallest, so that each can start from its larger neighbour's adapter. Finished
// levels are not run again; an unfinished one goes on from its checkpoint, with the same bits as an uninterrupted run.
// Throws Error(kUsage) on impossible settings, all reported together, and Error(kBadData) where training diverges.
FinetuneSummary finetune(const FinetuneInput& input, const FinetuneConfig& config);

nlohmann::json to_json(const FinetuneSummary& summary);
// finetune.json, and loss.svg next to it: loss by level, before and after.
void save_finetune_summary(const fs::path& json_path, const FinetuneSummary& summary);

// What a level of these widths needs beyond the program itself, bytes: weights, adapter and optimizer, one pass's
// activations, the teacher's hidden states. An estimate from the shapes, for the log.
std::int64_t finetune_memory_bytes(const ModelConfig& model, const LevelWidths& widths, const FinetuneConfig& config,
                                   std::int64_t train_rows, std::int64_t seq, std::int64_t element_bytes);

// "auto" becomes bfloat16 on a CUDA device that multiplies it, else float32.
torch::ScalarType finetune_dtype(const std::string& name, torch::Device device);

}  // namespace elastify
