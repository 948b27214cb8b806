#include "eval/interval.h"

#include <algorithm>
#include <cmath>

namespace elastify {

Interval wilson_interval(std::size_t successes, std::size_t trials) {
  if (trials == 0) return {};
  constexpr double kZ = 1.959963984540054;  // the normal distribution's 97.5 % point
  const auto n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n, z2 = kZ * kZ;
  const double centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double reach = kZ / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  // Rounding must not leave a hair above 0 at none, or below 1 at all.
  return {successes == 0 ? 0.0 : std::max(0.0, centre - reach),
          successes == trials ? 1.0 : std::min(1.0, centre + reach)};
}

}  // namespace elastify
