// AdamW (Loshchilov and Hutter 2019) over one buffer, with a state that can be saved.
#pragma once

#include <torch/optim/adamw.h>

#include "base/torch.h"

namespace elastify {

class FlatAdamW {
 public:
  // `values` is changed in place by step(), which reads `gradients`; both [weights], shared with the caller.
  FlatAdamW(torch::Tensor values, torch::Tensor gradients, double beta1, double beta2, double weight_decay);

  void step(double learning_rate);

  // Views of the optimizer's own tensors: writing to them restores a state.
  torch::Tensor mean() const;    // [weights], running mean of the gradients
  torch::Tensor square() const;  // [weights], running mean of their squares
  std::int64_t steps() const;
  void set_steps(std::int64_t steps);

 private:
  torch::optim::AdamWParamState& state() const;

  torch::Tensor values_;
  mutable torch::optim::AdamW optimizer_;
};

}  // namespace elastify
