// Chosen tensors of a model as leaves of two buffers, so that clipping and AdamW touch two tensors instead of hundreds:
// matrices, which weight decay shrinks, and norms and biases, which it leaves alone.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tlm/tlm_weights.h"
#include "train/flat_adamw.h"

namespace elastify {

class FlatSlots {
 public:
  // The slots' tensors are replaced by leaves (float32; float64 where they were) with equal values that want gradients.
  // A tensor must not appear twice.
  FlatSlots(const std::vector<TlmSlot>& slots, double weight_decay);
  ~FlatSlots();  // the slots' tensors want no gradients any more; the model must still be where it was
  FlatSlots(const FlatSlots&) = delete;
  FlatSlots& operator=(const FlatSlots&) = delete;

  void zero_gradients_inplace();
  // Scales all gradients to the L2 norm `limit` where theirs is larger; returns theirs. Does nothing to them if it is
  // not finite.
  double clip_inplace(double limit);
  void step(double learning_rate);

  // Views of the values and the optimizer's own tensors: writing to them, and set_steps(), restores a state.
  std::map<std::string, torch::Tensor> state() const;
  std::int64_t steps() const;
  void set_steps(std::int64_t steps);

 private:
  struct Buffer {
    torch::Tensor values, gradients;
    std::optional<FlatAdamW> optimizer;
  };
  void gather(const std::vector<TlmSlot>& slots, Buffer& buffer, double weight_decay);

  std::vector<TlmSlot> slots_;
  Buffer matrices_, rest_;
};

}  // namespace elastify
