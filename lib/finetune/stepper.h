// One optimisation step of one adapter: passes, accumulation, clipping, AdamW.
#pragma once

#include "finetune/batches.h"
#include "finetune/finetune_config.h"
#include "finetune/flat_adapter.h"
#include "finetune/teacher.h"
#include "train/flat_adamw.h"

namespace elastify {

struct StepOutcome {
  double loss = 0;           // mean of the objective over the step's counted targets, nats
  double gradient_norm = 0;  // before clipping
  std::int64_t tokens = 0;   // read by the student
  bool skipped = false;      // loss or gradient was not finite: nothing was changed
  double student_seconds = 0, teacher_seconds = 0;
};

class Stepper {
 public:
  // `decoder`: the sliced sub-model, its weights frozen. `teacher`: null for next-token loss alone. `seed` drives
  // dropout.
  Stepper(const Decoder& decoder, const Adapter& initial, const FinetuneConfig& config, const Teacher* teacher,
          std::uint64_t seed);

  // `rows`: indexes into `text`, read in config.accumulation passes. A pass weighs as much as it has counted targets,
  // so the split changes nothing but rounding. `step` counts from 1 and names the dropout masks.
  StepOutcome step(const TokenRows& text, const torch::Tensor& rows, std::int64_t step, double learning_rate);

  FlatAdapter& flat() { return flat_; }
  const Adapter& adapter() const { return flat_.adapter; }
  FlatAdamW& optimizer() { return optimizer_; }

 private:
  // Adds the gradients of one pass to flat.gradients and returns its share of the loss, a scalar tensor.
  torch::Tensor pass(FlatAdapter& flat, const Batch& batch, double scale, std::uint64_t dropout_seed,
                     double& teacher_seconds);
  // All passes, config.workers at a time; gradients and losses add up in the passes' order.
  torch::Tensor passes(const std::vector<Batch>& batches, std::int64_t step, double scale, StepOutcome& outcome);

  const Decoder& decoder_;
  const FinetuneConfig& config_;
  const Teacher* teacher_;
  std::uint64_t seed_;
  ProductType products_;
  FlatAdapter flat_;
  std::vector<FlatAdapter> beside_;  // of the workers but the first
  FlatAdamW optimizer_;
};

}  // namespace elastify
