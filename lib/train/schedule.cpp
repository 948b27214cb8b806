#include "train/schedule.h"

#include <algorithm>
#include <cmath>

namespace elastify {

double Schedule::rate(std::int64_t step) const {
  if (step <= warmup_steps) return peak * static_cast<double>(step) / static_cast<double>(warmup_steps);
  const double done =
      static_cast<double>(step - warmup_steps) / static_cast<double>(std::max<std::int64_t>(1, steps - warmup_steps));
  return peak * (final_share + (1 - final_share) * 0.5 * (1 + std::cos(M_PI * std::min(1.0, done))));
}

}  // namespace elastify
