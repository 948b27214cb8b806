// How far a measured share may be from the true one.
#pragma once

#include <cstddef>

namespace elastify {

struct Interval {
  double low = 0, high = 1;
};

// Wilson's score interval at 95 %: the shares p for which `successes` of `trials` lie within 1.96 standard deviations
// of p. Always inside [0, 1], also at none and at all; [0, 1] for no trials.
Interval wilson_interval(std::size_t successes, std::size_t trials);

}  // namespace elastify
