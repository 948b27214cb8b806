// A frozen model cut to some levels, all with one adapter, which is cut alike: what a training step runs.
#pragma once

#include <memory>
#include <vector>

#include "finetune/batches.h"
#include "finetune/finetune_config.h"
#include "finetune/flat_adapter.h"
#include "finetune/row_losses.h"
#include "model/loss_head.h"

namespace elastify {

class Student {
 public:
  virtual ~Student() = default;

  // To be called after the adapter's values changed, before the next pass.
  virtual void take_values() {}

  // One pass of level `level` (an index) over the batch: adds the adapter's gradients to `flat`, which is the one that
  // the student was made with or share_values() of it, and returns the losses' sum, a scalar. `dropout_seed` names the
  // dropout masks.
  virtual torch::Tensor pass(std::size_t level, FlatAdapter& flat, const Batch& batch, const TopTokens& teacher,
                             const Objective& objective, std::uint64_t dropout_seed) = 0;

  // Losses of a level on text, with the adapter as it was when its values were last taken, or without one.
  virtual RowLosses losses(std::size_t level, bool with_adapter, const TokenRows& text, std::int64_t rows_at_once) = 0;
  // With another adapter of the same widths.
  virtual RowLosses losses_with(std::size_t level, const Adapter& adapter, const TokenRows& text,
                                std::int64_t rows_at_once) = 0;
};

// What all levels are cut from, and how wide they are. `adapter` is at least as wide as the widest level.
struct StudentTask {
  const ModelWeights& weights;  // full, frozen
  std::vector<LevelWidths> levels;
  const FinetuneConfig& config;
  FlatAdapter& flat;
  std::int64_t seq = 0;  // the longest row
};

// Passes written out (model/level_pass.h) where the model has them and they pay: bfloat16 products on a CPU, no
// dropout. Else LibTorch's autograd, on any device and in any type.
std::unique_ptr<Student> make_student(const StudentTask& task);
bool written_out_pass(const FinetuneConfig& config, const ModelWeights& weights, std::int64_t seq);

struct StatesAndHead {
  StatesOf states;
  torch::Tensor head;
};
// Of one level, by the same rule. `weights` is the full model and outlives what is returned; `adapter`, of the level's
// widths, may be null.
StatesAndHead level_states(const ModelWeights& weights, const LevelWidths& widths, const Adapter* adapter,
                           const FinetuneConfig& config, std::int64_t seq);
// Of the full model: what a teacher is made of.
StatesAndHead full_states(const ModelWeights& weights, const FinetuneConfig& config, std::int64_t seq);

}  // namespace elastify
