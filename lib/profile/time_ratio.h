// What a gradient method costs next to plain passes: a measurement for tables of figures, which no build makes.
#pragma once

#include <string>

#include "profile/importance.h"

namespace elastify {

// How long a gradient method takes against a plain forward and backward pass over the same rows, taps and sums left
// out: one with weight gradients, as a training step has, and one that only goes back through the activations to the
// embedding's output. Alternates `repeats` times over the first batch and takes medians.
struct TimeRatio {
  double profile_s = 0, training_s = 0, activations_s = 0;  // one batch; training_s is 0 where the weights exceed 4 GiB
  double ratio() const { return training_s > 0 ? profile_s / training_s : 0; }
  double activations_ratio() const { return activations_s > 0 ? profile_s / activations_s : 0; }
};
TimeRatio time_profile_ratio(const Decoder& decoder, const TokenRows& rows, std::int64_t batch_rows,
                             const std::string& method = ProfileConfig().method, int repeats = 3);

}  // namespace elastify
