// Steps and learning rates of one level's recovery.
#pragma once

#include "finetune/finetune_config.h"
#include "train/schedule.h"

namespace elastify {

// The learning rate for a model of this width: 1e-4 at 4096, as published for 7 B models, times (4096 / hidden)^(4/3),
// at most 1e-2. The exponent joins that point with what measured best on small models: 1e-2 of {1.5e-3, 4e-3, 1e-2,
// 2e-2} at hidden 64, and 1.3e-2 of {3.2e-3, 6.4e-3, 1.3e-2} at hidden 128 (250 steps of 1024 tokens, level 50).
double default_learning_rate(std::int64_t hidden_size);

// `rows`: rows of `seq` tokens of training text; `levels`: that share the adapter. Throws Error(kUsage) where nothing
// would be trained.
Schedule make_schedule(const FinetuneConfig& config, std::int64_t hidden_size, std::int64_t rows, std::int64_t seq,
                       std::int64_t levels = 1);

}  // namespace elastify
