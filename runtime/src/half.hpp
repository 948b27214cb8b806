// IEEE 754 binary16 to float, one value: for what does not fill a vector. Exact, subnormals included.
#pragma once

#include <bit>
#include <cstdint>

namespace elrt {

inline float float_from_half(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1Fu, fraction = bits & 0x3FFu;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (fraction << 13));  // infinity, NaN
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));         // bias 15 -> 127
}

}  // namespace elrt
