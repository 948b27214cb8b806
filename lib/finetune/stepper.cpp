#include "finetune/stepper.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/stopwatch.h"
#include "model/side_by_side.h"

namespace elastify {

std::int64_t passes_of_step(const FinetuneConfig& config, std::int64_t seq) {
  if (config.accumulation > 0) return config.accumulation;
  constexpr std::int64_t kTokens = 1024;  // larger passes are hardly faster, and memory grows with them
  std::int64_t passes = 1;
  while (passes < config.batch_rows && (config.batch_rows % passes != 0 || config.batch_rows / passes * seq > kTokens))
    ++passes;
  return passes;
}

Stepper::Stepper(const ModelWeights& weights, const std::vector<LevelWidths>& levels, const Adapter& initial,
                 const FinetuneConfig& config, const Teacher* teacher, std::uint64_t seed, std::int64_t seq)
    : config_(config),
      teacher_(config.loss == "distill" && config.distill_weight > 0 ? teacher : nullptr),
      seed_(seed),
      levels_(levels.size()),
      flat_(flatten_adapter(initial)),
      student_(make_student({weights, levels, config, flat_, seq})),
      optimizer_(flat_.values, flat_.gradients, config.beta1, config.beta2, config.weight_decay) {
  for (std::int64_t i = 1; i < std::min(config.workers, passes_of_step(config, seq)); ++i)
    beside_.push_back(share_values(flat_));
  student_->take_values();
}

torch::Tensor Stepper::passes(const std::vector<Batch>& batches, std::int64_t step, double scale) {
  torch::Tensor loss = torch::zeros({}, flat_.values.options());
  const Objective objective{config_.distill_weight, config_.temperature, scale};
  const std::size_t workers = 1 + beside_.size();
  for (std::size_t first = 0; first < batches.size(); first += workers) {
    const std::size_t count = std::min(workers, batches.size() - first);
    std::vector<torch::Tensor> losses(count);
    run_side_by_side(count, count, [&](std::size_t i) {
      const Batch& batch = batches[first + i];
      if (batch.counted() == 0) return;
      const std::uint64_t index = static_cast<std::uint64_t>(step) * batches.size() + first + i;
      losses[i] = student_->pass(index % levels_, i == 0 ? flat_ : beside_[i - 1], batch,
                                 teacher_ != nullptr ? teacher_->top(batch) : TopTokens{}, objective,
                                 derive_seed(seed_, "dropout", index));
    });
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < count; ++i) {
      if (losses[i].defined()) loss = loss + losses[i] * scale;
      if (i > 0) flat_.gradients.add_(beside_[i - 1].gradients), beside_[i - 1].gradients.zero_();
    }
  }
  return loss;
}

StepOutcome Stepper::step(const TokenRows& text, const torch::Tensor& rows, std::int64_t step, double learning_rate) {
  const Stopwatch watch;
  StepOutcome outcome;
  std::vector<Batch> batches;
  std::int64_t counted = 0;
  for (const auto& part : rows.chunk(passes_of_step(config_, text.seq()))) {
    batches.push_back(make_batch(text, part, flat_.values.device()));
    counted += batches.back().counted();
    outcome.tokens += batches.back().inputs.numel();
  }
  flat_.gradients.zero_();
  const torch::Tensor loss = passes(batches, step, 1 / static_cast<double>(counted));
  // The step's only wait for the device.
  const torch::Tensor figures =
      torch::stack({loss.to(torch::kFloat64), flat_.gradients.norm().to(torch::kFloat64)}).cpu();
  outcome.loss = figures[0].item<double>();
  outcome.gradient_norm = figures[1].item<double>();
  outcome.skipped = !std::isfinite(outcome.loss) || !std::isfinite(outcome.gradient_norm) || counted == 0;
  if (!outcome.skipped) {
    if (config_.clip_norm > 0 && outcome.gradient_norm > config_.clip_norm)
      flat_.gradients.mul_(config_.clip_norm / outcome.gradient_norm);
    optimizer_.step(learning_rate);
    student_->take_values();
  }
  outcome.seconds = watch.seconds();
  return outcome;
}

}  // namespace elastify
