// SplitMix64 (Steele, Lea, Flood 2014): ours, so that a seed means the same on every platform.
#pragma once

#include <cstdint>

namespace elrt {

// The next number of [0, 1); moves `state`, which starts as the seed.
inline double next_uniform(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

}  // namespace elrt
