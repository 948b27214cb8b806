// The learning rate of a model that names none: short trainings at several rates, on the model itself.
#pragma once

#include <vector>

#include "finetune/adapter_trainer.h"

namespace elastify {

struct RateTrial {
  double rate = 0;
  double loss = 0;  // on the held-out sample, mean over the levels, after the trial; infinite where it diverged
};

// The rates that are tried, rising: the rule's (default_learning_rate) and multiples of it. Measured best on models of
// 64 to 128 wide is the rule itself, on SmolLM2-135M with one adapter of rank 32 six times that.
std::vector<double> rates_to_try(std::int64_t hidden_size);

// Trains the task's adapter from its start at each rate, for a twenty-fifth of the task's steps each (4 to 16), warm-up
// and cosine within them, and keeps nothing of it. Trials that `path` holds for task.key are not run again. Returns the
// trials in the order of the rates; the task's own schedule names the other settings.
std::vector<RateTrial> try_rates(const AdapterTask& task, const std::vector<double>& rates, const fs::path& path);

// Of the least loss; the lowest where several are equal. Throws Error(kBadData) where all diverged.
double best_rate(const std::vector<RateTrial>& trials);

}  // namespace elastify
