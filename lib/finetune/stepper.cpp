#include "finetune/stepper.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/stopwatch.h"
#include "finetune/objective.h"
#include "model/side_by_side.h"

namespace elastify {
namespace {

// Seconds since the last call; a device's queue is drained first, so that its work is counted where it was asked for.
class DeviceStopwatch {
 public:
  explicit DeviceStopwatch(torch::Device device) : device_(device) {}
  double lap_seconds() {
    if (device_.is_cuda()) torch::cuda::synchronize(device_.index());
    return watch_.lap();
  }

 private:
  torch::Device device_;
  Stopwatch watch_;
};

}  // namespace

Stepper::Stepper(const Decoder& decoder, const Adapter& initial, const FinetuneConfig& config, const Teacher* teacher,
                 std::uint64_t seed)
    : decoder_(decoder),
      config_(config),
      teacher_(config.loss == "distill" && config.distill_weight > 0 ? teacher : nullptr),
      seed_(seed),
      products_(
          parse_product_type(config.products, decoder.weights().embedding.device(), decoder.config().hidden_size)),
      flat_(flatten_adapter(initial)),
      optimizer_(flat_.values, flat_.gradients, config.beta1, config.beta2, config.weight_decay) {
  for (std::int64_t i = 1; i < std::min(config.workers, config.accumulation); ++i)
    beside_.push_back(share_values(flat_));
}

torch::Tensor Stepper::pass(FlatAdapter& flat, const Batch& batch, double scale, std::uint64_t dropout_seed,
                            double& teacher_seconds) {
  torch::Tensor teacher_logits;
  if (teacher_ != nullptr) {
    DeviceStopwatch watch(flat_.values.device());
    watch.lap_seconds();  // waits for the student's earlier pass
    teacher_logits = teacher_->logits(batch);
    teacher_seconds = watch.lap_seconds();
  }
  ForwardOptions options;
  options.adapter = &flat.adapter;
  options.training = true;
  options.products = products_;
  torch::manual_seed(dropout_seed);
  const torch::Tensor logits =
      decoder_.head(counted_positions(decoder_.hidden(batch.inputs, options), batch), products_);
  const auto result =
      evaluate_objective(logits, teacher_logits, batch.targets, {config_.distill_weight, config_.temperature, scale});
  logits.backward(result.gradient);
  return result.loss;
}

torch::Tensor Stepper::passes(const std::vector<Batch>& batches, std::int64_t step, double scale,
                              StepOutcome& outcome) {
  torch::Tensor loss = torch::zeros({}, flat_.values.options());
  const std::size_t workers = 1 + beside_.size();
  for (std::size_t first = 0; first < batches.size(); first += workers) {
    const std::size_t count = std::min(workers, batches.size() - first);
    std::vector<torch::Tensor> losses(count);
    std::vector<double> teacher_seconds(count);
    run_side_by_side(count, count, [&](std::size_t i) {
      const Batch& batch = batches[first + i];
      if (batch.counted() == 0) return;
      const std::uint64_t index = static_cast<std::uint64_t>(step * config_.accumulation) + first + i;
      losses[i] =
          pass(i == 0 ? flat_ : beside_[i - 1], batch, scale, derive_seed(seed_, "dropout", index), teacher_seconds[i]);
    });
    torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < count; ++i) {
      if (losses[i].defined()) loss = loss + losses[i];
      if (i > 0) flat_.gradients.add_(beside_[i - 1].gradients), beside_[i - 1].gradients.zero_();
    }
    outcome.teacher_seconds += *std::max_element(teacher_seconds.begin(), teacher_seconds.end());
  }
  return loss;
}

StepOutcome Stepper::step(const TokenRows& text, const torch::Tensor& rows, std::int64_t step, double learning_rate) {
  DeviceStopwatch watch(flat_.values.device());
  StepOutcome outcome;
  std::vector<Batch> batches;
  std::int64_t counted = 0;
  for (const auto& part : rows.chunk(config_.accumulation)) {
    batches.push_back(make_batch(text, part, flat_.values.device()));
    counted += batches.back().counted();
    outcome.tokens += batches.back().inputs.numel();
  }
  flat_.gradients.zero_();
  const torch::Tensor loss = passes(batches, step, 1 / static_cast<double>(counted), outcome);
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
  }
  outcome.student_seconds = watch.lap_seconds() - outcome.teacher_seconds;
  return outcome;
}

}  // namespace elastify
