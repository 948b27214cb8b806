// Draws that are the same on every machine, as those of the standard library's distributions are not.
#pragma once

#include <random>

namespace elastify {

// Evenly from [0, 1).
inline double unit_draw(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

inline bool chance(double share, std::mt19937_64& random) { return unit_draw(random) < share; }

}  // namespace elastify
