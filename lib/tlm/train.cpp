#include "tlm/train.h"

#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "model/decoder.h"
#include "tlm/flat_slots.h"
#include "tlm/train_progress.h"
#include "train/schedule.h"

namespace elastify {
namespace {

Schedule make_rates(const TlmTrainConfig& config) {
  Schedule schedule;
  schedule.steps = config.steps;
  schedule.warmup_steps = static_cast<std::int64_t>(config.warmup_share * static_cast<double>(config.steps));
  schedule.peak = config.learning_rate;
  schedule.final_share = config.final_rate;
  return schedule;
}

// Losses wait on the device and are read once an interval.
class LossMeter {
 public:
  void add(const torch::Tensor& loss) {
    sum_ = count_ == 0 ? loss.detach() : sum_ + loss.detach();
    ++count_;
  }
  double take() {
    const double mean = sum_.item<double>() / static_cast<double>(count_);
    count_ = 0;
    return mean;
  }

 private:
  torch::Tensor sum_;
  std::int64_t count_ = 0;
};

}  // namespace

torch::Tensor score_loss(const DualHead& model, const TlmBatch& batch, const torch::Tensor& word_labels,
                         const TlmForward& options) {
  return score_loss_of(score_logits(model, shared_states(model, batch, options), batch.mask, options), batch.words,
                       word_labels);
}

torch::Tensor score_loss_of(const torch::Tensor& logits, const torch::Tensor& words, const torch::Tensor& word_labels) {
  const torch::Tensor no_label = torch::full({word_labels.size(0), 1}, kIgnore, word_labels.options());
  const torch::Tensor labels = torch::cat({no_label, word_labels}, 1).gather(1, words + 1);
  return summed_loss(logits, labels) / (labels != kIgnore).sum().clamp_min(1);
}

torch::Tensor decision_loss(const DualHead& model, const TlmBatch& batch, const torch::Tensor& model_class,
                            const torch::Tensor& prompt_class, const TlmForward& options) {
  const DecisionLogits logits = decision_logits(model, shared_states(model, batch, options), batch.mask, options);
  return (summed_loss(logits.model_level, model_class) + summed_loss(logits.prompt_level, prompt_class)) /
         model_class.size(0);
}

TlmTrainResult train_slots(const std::string& name, const std::vector<TlmSlot>& slots, const TlmTrainConfig& config,
                           const std::function<torch::Tensor(std::int64_t step)>& loss) {
  return train_slots(name, slots, config, {[](std::int64_t) {}, loss}, {});
}

TlmTrainResult train_slots(const std::string& name, const std::vector<TlmSlot>& slots, const TlmTrainConfig& config,
                           const TlmSteps& steps, const TlmProgressFile& kept) {
  const Schedule rates = make_rates(config);
  FlatSlots flat(slots, config.weight_decay);
  TlmTrainResult result;
  LossMeter meter;
  Progress progress(name, config.steps, "steps");
  const std::int64_t done = kept.path.empty() ? 0 : load_train_progress(kept.path, flat, result);
  progress.resume_at(done);
  Stopwatch saved;
  for (std::int64_t step = 0; step < config.steps; ++step) {
    steps.draw(step);
    if (step < done) continue;
    flat.zero_gradients_inplace();
    const torch::Tensor value = steps.loss(step);
    value.backward();
    const double norm = flat.clip_inplace(config.clip_norm);
    if (!std::isfinite(norm)) {
      fail(ErrorCode::kInternal,
           "{}: the loss or its gradient is not finite at step {} (loss {}): lower the learning rate", name, step,
           value.item<double>());
    }
    flat.step(rates.rate(step + 1));
    meter.add(value);
    const bool last = step + 1 == config.steps;
    // An interrupted interval's losses would be lost with the meter: it ends where the next line is due.
    if ((step + 1) % config.log_every != 0 && !last) continue;
    result.losses.push_back(meter.take());
    progress.update(step + 1, fmt::format("loss {:.4f}", result.losses.back()));
    const bool due = last || interrupted() != 0 || saved.seconds() >= static_cast<double>(kept.every.count());
    if (!kept.path.empty() && due) {
      save_train_progress(kept.path, flat, result);
      saved.restart();
    }
    stop_if_interrupted();
  }
  return result;
}

}  // namespace elastify
