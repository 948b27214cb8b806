// One optimisation step of one adapter: passes, accumulation, clipping, AdamW.
#pragma once

#include "finetune/student.h"
#include "finetune/teacher.h"
#include "train/flat_adamw.h"

namespace elastify {

struct StepOutcome {
  double loss = 0;           // mean of the objective over the step's counted targets, nats
  double gradient_norm = 0;  // before clipping
  std::int64_t tokens = 0;   // read by the student
  bool skipped = false;      // loss or gradient was not finite: nothing was changed
  double seconds = 0;
};

class Stepper {
 public:
  // `weights`: the full model, frozen; `levels`: what the passes of a step take in turn. `teacher`: null for next-token
  // loss alone. `seed` drives dropout. `seq`: the longest row.
  Stepper(const ModelWeights& weights, const std::vector<LevelWidths>& levels, const Adapter& initial,
          const FinetuneConfig& config, const Teacher* teacher, std::uint64_t seed, std::int64_t seq);

  // `rows`: indexes into `text`, read in passes_of_step() passes. A pass weighs as much as it has counted targets, so
  // with one level the split changes nothing but rounding. `step` counts from 1; it names the dropout masks and which
  // level comes first.
  StepOutcome step(const TokenRows& text, const torch::Tensor& rows, std::int64_t step, double learning_rate);

  FlatAdapter& flat() { return flat_; }
  const Adapter& adapter() const { return flat_.adapter; }
  FlatAdamW& optimizer() { return optimizer_; }
  Student& student() { return *student_; }

 private:
  // All passes, config.workers at a time; gradients and losses add up in the passes' order.
  torch::Tensor passes(const std::vector<Batch>& batches, std::int64_t step, double scale);

  const FinetuneConfig& config_;
  const Teacher* teacher_;
  std::uint64_t seed_;
  std::size_t levels_;
  FlatAdapter flat_;
  std::unique_ptr<Student> student_;
  std::vector<FlatAdapter> beside_;  // of the workers but the first
  FlatAdamW optimizer_;
};

// config.accumulation, or where that is 0 the fewest passes that divide the rows and hold at most 1024 tokens each.
std::int64_t passes_of_step(const FinetuneConfig& config, std::int64_t seq);

}  // namespace elastify
