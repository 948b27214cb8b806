// Steps and learning rates of one level's recovery.
#pragma once

#include <cstdint>

#include "finetune/finetune_config.h"

namespace elastify {

// The learning rate for a model of this width: 1e-4 at 4096, as published for 7 B models, times (4096 / hidden)^0.75, at
// most 1e-2. The exponent is fitted to the best rates measured at hidden 64 and 128 (README, "Recovery").
double default_learning_rate(std::int64_t hidden_size);

struct Schedule {
  std::int64_t steps = 0;
  std::int64_t warmup_steps = 0;
  double peak = 0;         // learning rate after the warm-up
  double final_share = 0;  // of the peak, at the last step
  std::int64_t eval_every = 1;

  // For step 1..steps: rises linearly to the peak over the warm-up, then falls along half a cosine to final_share * peak.
  double rate(std::int64_t step) const;
};

// `rows`: rows of training text. Throws Error(kUsage) where nothing would be trained.
Schedule make_schedule(const FinetuneConfig& config, std::int64_t hidden_size, std::int64_t rows);

}  // namespace elastify
