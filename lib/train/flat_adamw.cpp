#include "train/flat_adamw.h"

namespace elastify {

FlatAdamW::FlatAdamW(torch::Tensor values, torch::Tensor gradients, double beta1, double beta2, double weight_decay)
    : values_(std::move(values)),
      optimizer_({values_}, torch::optim::AdamWOptions(0).betas({beta1, beta2}).weight_decay(weight_decay)) {
  values_.mutable_grad() = std::move(gradients);
  // LibTorch makes its state in the first step. That step changes nothing: the rate is 0 and so are the moments after
  // it.
  optimizer_.step();
  mean().zero_();
  square().zero_();
  set_steps(0);
}

void FlatAdamW::step(double learning_rate) {
  static_cast<torch::optim::AdamWOptions&>(optimizer_.param_groups()[0].options()).lr(learning_rate);
  optimizer_.step();
}

// The map's key type differs between LibTorch versions; with one parameter it has one entry.
torch::optim::AdamWParamState& FlatAdamW::state() const {
  return static_cast<torch::optim::AdamWParamState&>(*optimizer_.state().begin()->second);
}

torch::Tensor FlatAdamW::mean() const { return state().exp_avg(); }
torch::Tensor FlatAdamW::square() const { return state().exp_avg_sq(); }
std::int64_t FlatAdamW::steps() const { return state().step(); }
void FlatAdamW::set_steps(std::int64_t steps) { state().step(steps); }

}  // namespace elastify
