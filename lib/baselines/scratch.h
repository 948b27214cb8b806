// Small models trained from nothing: every weight, AdamW, the rows and steps that recovery reads.
#pragma once

#include <string>

#include "finetune/finetune_config.h"
#include "finetune/teacher.h"
#include "model/weights.h"
#include "train/schedule.h"

namespace elastify {

// All weights in one buffer.
struct ScratchModel {
  ModelWeights weights;     // float leaves that view `values`
  torch::Tensor values;     // [weights]
  torch::Tensor gradients;  // [weights]; backward() adds to it
};

// The shapes of `full` cut to `widths`, with weights of its own: norms 1, embedding N(0, 0.02^2), matrices N(0, 1 / (3
// inputs)), and those that write to the residual stream zero, so that every block begins as the identity (Zhang et al.
// 2019). Biases begin at zero. A head that is tied stays tied.
ScratchModel make_scratch_model(const ModelWeights& full, const LevelWidths& widths, std::uint64_t seed);

// 1e-3 at width 576, with the inverse root of the width.
double scratch_learning_rate(std::int64_t hidden_size);

struct ScratchTask {
  const TokenRows& train;
  const FinetuneConfig& config;      // loss, batch, clipping, AdamW, as recovery takes them
  const Schedule& schedule;          // its peak is this model's own learning rate
  const Teacher* teacher = nullptr;  // null for next-token loss alone
  std::uint64_t row_seed = 0;        // of the order of rows: recovery's
  std::string key;                   // names everything that the result depends on
  fs::path directory;                // of checkpoint.safetensors and model.safetensors
  std::string name;                  // for the line of progress
};

// Trains `model`, going on from a checkpoint of the same key; does nothing where that key's model is there already.
// Weights are rounded to float16 at the end, as they are kept. Throws Error(kBadData) where a loss is not finite.
void train_scratch_inplace(ScratchModel& model, const ScratchTask& task);

}  // namespace elastify
