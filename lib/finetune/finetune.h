// The recovery stage: one adapter for all levels, or one for each, on the sub-models of one frozen model.
#pragma once

#include "finetune/adapter_trainer.h"
#include "quantise/guide_pass.h"

namespace elastify {

struct FinetuneInput {
  const ModelWeights& weights;    // reordered; its device and dtype are used
  std::vector<LevelPlan> levels;  // of the plan, any order; 100 is left out
  const TokenRows& train;
  const TokenRows& held_out;
  fs::path directory;  // adapters/
  fs::path teacher;    // teacher/: what the full level says of the text
  std::uint64_t seed = 0;
  std::string key;          // hash of the weights, plan and text, so that stale results are not taken for this run's
  std::string weights_key;  // hash of the weights alone: the teacher's part serves other plans and settings too
  std::function<void(std::int64_t level, std::int64_t step)> after_step{};  // see AdapterTask
  const RoundingText* rounding = nullptr;  // of base_dtype, and the matrices that are wider: round_weights()
  std::vector<std::string> wider{};
};

struct FinetuneSummary {
  double loss_full = 0;             // of the full level, rounded to base_dtype
  double teacher_seconds = 0;       // of this process; 0 where the teacher's part was there
  double seconds = 0;               // of this process
  std::int64_t tokens = 0;          // trained on by this process, or before it was stopped
  double tokens_per_s = 0;          // over all of it: teacher, training, evaluation
  std::vector<LevelResult> levels;  // ascending
};

// Settings that are each possible but not together, or not with a plan of these levels: "targets: expected ...".
std::vector<std::string> settings_problems(const FinetuneConfig& config, const std::vector<std::int64_t>& levels);

// adapters = "levels": from the largest to the smallest, so that each can start from its larger neighbour's adapter.
// What is finished is not run again; what is not goes on from its checkpoint, with the same bits as an uninterrupted
// run. Leaves adapters/shared/ or adapters/level_NN/ with the adapters, and adapters/level_NN/result.json. Throws
// Error(kUsage) on impossible settings, all reported together, and Error(kBadData) where training diverges.
FinetuneSummary finetune(const FinetuneInput& input, const FinetuneConfig& config);

nlohmann::json to_json(const FinetuneSummary& summary);
// finetune.json, and loss.svg next to it: loss by level, before and after.
void save_finetune_summary(const fs::path& json_path, const FinetuneSummary& summary);

// What a level of these widths needs beyond the program itself, bytes: weights, adapter and optimizer, one pass's
// activations. An estimate from the shapes, for the log.
std::int64_t finetune_memory_bytes(const ModelWeights& weights, const LevelWidths& widths, const FinetuneConfig& config,
                                   std::int64_t seq);

// "auto" becomes bfloat16 on a CUDA device that multiplies it, else float32.
torch::ScalarType finetune_dtype(const std::string& name, torch::Device device);

}  // namespace elastify
