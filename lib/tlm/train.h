// Training of the tiny language model's parts: one loop, and the losses of the two heads.
#pragma once

#include <chrono>
#include <functional>

#include "base/files.h"
#include "tlm/dual_head.h"

namespace elastify {

// Labels are those of words: 1 retain, 0 discard, kIgnore for none. Mean cross-entropy over the tokens of labelled
// words, every token having its word's label, in nats; 0 where no word is labelled. word_labels: [batch, words] int64.
torch::Tensor score_loss(const DualHead& model, const TlmBatch& batch, const torch::Tensor& word_labels,
                         const TlmForward& options);
// The same from score_logits(); words: the batch's.
torch::Tensor score_loss_of(const torch::Tensor& logits, const torch::Tensor& words, const torch::Tensor& word_labels);

// Sum of the two classifiers' mean cross-entropies, in nats. model_class, prompt_class: [batch] int64, indices into the
// settings' levels.
torch::Tensor decision_loss(const DualHead& model, const TlmBatch& batch, const torch::Tensor& model_class,
                            const torch::Tensor& prompt_class, const TlmForward& options);

struct TlmTrainConfig {
  std::int64_t steps = 1000;
  double learning_rate =
      5e-5;  // as published for a pre-trained body; small bodies from scratch want 10 to 100 times more
  double warmup_share = 0.1;  // of the steps
  double final_rate = 0.1;    // of the learning rate, at the last step
  double weight_decay = 0.01;
  double clip_norm = 1;
  std::int64_t log_every = 50;

  template <typename V>
  void visit(V& v) {
    v.integer("steps", steps, 1, 1'000'000'000, "of the phase");
    v.number("learning_rate", learning_rate, 1e-9, 1, "after the warm-up");
    v.number("warmup_share", warmup_share, 0, 1, "of the steps");
    v.number("final_rate", final_rate, 0, 1, "of the learning rate, at the last step");
    v.number("weight_decay", weight_decay, 0, 1, "of AdamW, matrices only");
    v.number("clip_norm", clip_norm, 1e-6, 1e6, "longest gradient");
    v.integer("log_every", log_every, 1, 1'000'000'000, "steps between lines");
  }
};

struct TlmTrainResult {
  std::vector<double> losses;  // means over log_every steps each, the last over what is left
};

// `steps` steps of AdamW on the tensors of `slots`, everything else staying frozen. `loss` is called with 0, 1, ... and
// returns the step's loss as a scalar with a graph. The slots' tensors keep the new values and want no gradients
// afterwards. Progress and losses are logged under `name`. Throws Error(kInternal) naming the step where the loss or
// its gradient is not finite.
TlmTrainResult train_slots(const std::string& name, const std::vector<TlmSlot>& slots, const TlmTrainConfig& config,
                           const std::function<torch::Tensor(std::int64_t step)>& loss);

// A step in two parts, so that training that goes on after a stop draws the batches of steps already done without
// computing them.
struct TlmSteps {
  std::function<void(std::int64_t step)> draw;           // this step's batch; called for every step from 0 on
  std::function<torch::Tensor(std::int64_t step)> loss;  // of the batch drawn last
};
// A file (train_progress.h) that is written at logged steps, not more often than asked, and at the end; training goes
// on from the step that it holds.
struct TlmProgressFile {
  fs::path path;  // empty: none
  std::chrono::seconds every{60};
};
TlmTrainResult train_slots(const std::string& name, const std::vector<TlmSlot>& slots, const TlmTrainConfig& config,
                           const TlmSteps& steps, const TlmProgressFile& kept);

}  // namespace elastify
