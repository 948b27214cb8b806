// Steps and learning rates of a training run.
#pragma once

#include <cstdint>

namespace elastify {

struct Schedule {
  std::int64_t steps = 0;
  std::int64_t warmup_steps = 0;
  double peak = 0;         // learning rate after the warm-up
  double final_share = 0;  // of the peak, at the last step
  std::int64_t eval_every = 1;

  // For step 1..steps: rises linearly to the peak over the warm-up, then falls along half a cosine to final_share *
  // peak.
  double rate(std::int64_t step) const;
};

}  // namespace elastify
