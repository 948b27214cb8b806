#include "gguf/dequantise.h"

#include <elrt/format.h>

#include <bit>
#include <cstring>
#include <string>

#include "base/error.h"

namespace elastify {
namespace {

using Byte = std::uint8_t;

constexpr std::size_t kBlock = 32, kSuperBlock = 256;  // weights: QK4_0 and its like, QK_K

float widen_half(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent == 0) {  // subnormal: fraction * 2^-24, exact in float32
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

float half_at(const Byte* bytes) {
  std::uint16_t half = 0;
  std::memcpy(&half, bytes, sizeof(half));
  return widen_half(half);
}

void f32(const Byte* b, float* y) { std::memcpy(y, b, sizeof(float)); }
void f16(const Byte* b, float* y) { *y = half_at(b); }
void bf16(const Byte* b, float* y) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, b, sizeof(bits));
  *y = std::bit_cast<float>(std::uint32_t{bits} << 16);
}

// d, 16 bytes: low halves are the first 16 weights, high halves the last.
void q4_0(const Byte* b, float* y) {
  const float d = half_at(b);
  for (std::size_t i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>((b[2 + i] & 15) - 8);
    y[16 + i] = d * static_cast<float>((b[2 + i] >> 4) - 8);
  }
}

// d, m, 16 bytes
void q4_1(const Byte* b, float* y) {
  const float d = half_at(b), m = half_at(b + 2);
  for (std::size_t i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(b[4 + i] & 15) + m;
    y[16 + i] = d * static_cast<float>(b[4 + i] >> 4) + m;
  }
}

// The fifth bit of weight i is bit i of four bytes.
unsigned fifth_bit(const Byte* high, std::size_t i) { return (high[i / 8] >> (i % 8) & 1u) << 4; }

// d, 4 bytes of fifth bits, 16 bytes
void q5_0(const Byte* b, float* y) {
  const float d = half_at(b);
  for (std::size_t i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(static_cast<int>((b[6 + i] & 15u) | fifth_bit(b + 2, i)) - 16);
    y[16 + i] = d * static_cast<float>(static_cast<int>((b[6 + i] >> 4) | fifth_bit(b + 2, 16 + i)) - 16);
  }
}

// d, m, 4 bytes of fifth bits, 16 bytes
void q5_1(const Byte* b, float* y) {
  const float d = half_at(b), m = half_at(b + 2);
  for (std::size_t i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>((b[8 + i] & 15u) | fifth_bit(b + 4, i)) + m;
    y[16 + i] = d * static_cast<float>((b[8 + i] >> 4) | fifth_bit(b + 4, 16 + i)) + m;
  }
}

// d, 32 signed bytes
void q8_0(const Byte* b, float* y) {
  const float d = half_at(b);
  for (std::size_t i = 0; i < kBlock; ++i) y[i] = d * static_cast<float>(static_cast<std::int8_t>(b[2 + i]));
}

// d, 16 bytes of indices into the codebook
void iq4_nl(const Byte* b, float* y) {
  const float d = half_at(b);
  for (std::size_t i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(elrt::format::kIq4Codebook[b[2 + i] & 15]);
    y[16 + i] = d * static_cast<float>(elrt::format::kIq4Codebook[b[2 + i] >> 4]);
  }
}

// Two bits of weight i of 256: 32 bytes hold 128 weights, bits 0 and 1 the first 32 of them and so on.
unsigned two_bits(const Byte* bytes, std::size_t i) { return bytes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3u; }
// Four bits of weight i of 256: 32 bytes hold 64 weights, low halves the first 32.
unsigned four_bits(const Byte* bytes, std::size_t i) { return bytes[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15u; }

// 16 bytes of scales (low half) and minima (high half), one for 16 weights; 64 bytes; d, dmin
void q2_k(const Byte* b, float* y) {
  const float d = half_at(b + 80), dmin = half_at(b + 82);
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const Byte scale = b[i / 16];
    y[i] = d * static_cast<float>(scale & 15) * static_cast<float>(two_bits(b + 16, i)) -
           dmin * static_cast<float>(scale >> 4);
  }
}

// 32 bytes of third bits (bit i / 32 of byte i % 32; where it is 0, 4 is taken off), 64 bytes, 12 bytes of scales, d.
// Scale s of 16 has its low half in byte s % 8 (high half of the byte for s >= 8), two bits in byte 8 + s % 4.
void q3_k(const Byte* b, float* y) {
  const float d = half_at(b + 108);
  const Byte* scales = b + 96;
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const std::size_t s = i / 16;
    const unsigned low = scales[s % 8] >> (s / 8 * 4) & 15u, high = scales[8 + s % 4] >> (s / 4 * 2) & 3u;
    const int scale = static_cast<int>(low | high << 4) - 32;
    const int third = b[i % 32] >> (i / 32) & 1;
    const int q = static_cast<int>(two_bits(b + 32, i)) - (third != 0 ? 0 : 4);
    y[i] = d * static_cast<float>(scale) * static_cast<float>(q);
  }
}

struct ScaleMin {
  float scale, min;
};
// Six bits each for 8 runs of 32 weights, in 12 bytes.
ScaleMin scale_min(const Byte* bytes, std::size_t run) {
  if (run < 4) return {static_cast<float>(bytes[run] & 63), static_cast<float>(bytes[run + 4] & 63)};
  const unsigned scale = (bytes[run + 4] & 15u) | (bytes[run - 4] >> 6) << 4;
  const unsigned min = (bytes[run + 4] >> 4) | (bytes[run] >> 6) << 4;
  return {static_cast<float>(scale), static_cast<float>(min)};
}

// d, dmin, 12 bytes of scales and minima, 128 bytes
void q4_k(const Byte* b, float* y) {
  const float d = half_at(b), dmin = half_at(b + 2);
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const ScaleMin run = scale_min(b + 4, i / 32);
    y[i] = d * run.scale * static_cast<float>(four_bits(b + 16, i)) - dmin * run.min;
  }
}

// d, dmin, 12 bytes of scales and minima, 32 bytes of fifth bits (bit i / 32 of byte i % 32), 128 bytes
void q5_k(const Byte* b, float* y) {
  const float d = half_at(b), dmin = half_at(b + 2);
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const ScaleMin run = scale_min(b + 4, i / 32);
    const unsigned q = four_bits(b + 48, i) | (b[16 + i % 32] >> (i / 32) & 1u) << 4;
    y[i] = d * run.scale * static_cast<float>(q) - dmin * run.min;
  }
}

// 128 bytes of four bits (64 of them for 128 weights, low halves first), 64 bytes of two more, 16 signed scales, d
void q6_k(const Byte* b, float* y) {
  const float d = half_at(b + 208);
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const unsigned low = b[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15u;
    const int q = static_cast<int>(low | two_bits(b + 128, i) << 4) - 32;
    y[i] = d * static_cast<float>(static_cast<std::int8_t>(b[192 + i / 16])) * static_cast<float>(q);
  }
}

// d, two bytes of the scales' high bits, 4 bytes of their low halves, 128 bytes: 16 for 32 weights, as in IQ4_NL
void iq4_xs(const Byte* b, float* y) {
  const float d = half_at(b);
  for (std::size_t i = 0; i < kSuperBlock; ++i) {
    const std::size_t run = i / 32;
    const unsigned low = b[4 + run / 2] >> (run % 2 * 4) & 15u, high = b[2 + run / 4] >> (run % 4 * 2) & 3u;
    const float scale = d * static_cast<float>(static_cast<int>(low | high << 4) - 32);
    const unsigned index = b[8 + run * 16 + i % 16] >> (i % 32 / 16 * 4) & 15u;
    y[i] = scale * static_cast<float>(elrt::format::kIq4Codebook[index]);
  }
}

using Reader = void (*)(const Byte*, float*);

struct Known {
  std::uint32_t type;
  Reader read;
};
constexpr Known kKnown[] = {{0, f32},   {1, f16},   {30, bf16}, {2, q4_0},    {3, q4_1},
                            {6, q5_0},  {7, q5_1},  {8, q8_0},  {10, q2_k},   {11, q3_k},
                            {12, q4_k}, {13, q5_k}, {14, q6_k}, {20, iq4_nl}, {23, iq4_xs}};

Reader reader_of(std::uint32_t type) {
  for (const Known& known : kKnown) {
    if (known.type == type) return known.read;
  }
  return nullptr;
}

}  // namespace

bool can_dequantise(std::uint32_t type) { return reader_of(type) != nullptr; }

std::string dequantisable_types() {
  std::string names;
  for (const Known& known : kKnown)
    names += (names.empty() ? "" : ", ") + std::string(elrt::gguf::type_layout(known.type)->name);
  return names;
}

void dequantise(const elrt::gguf::TypeLayout& layout, const std::byte* blocks, std::size_t count, float* values) {
  const Reader read = reader_of(layout.type);
  require(read != nullptr, "GGUF type {} has no reader", layout.name);
  const auto* bytes = reinterpret_cast<const Byte*>(blocks);
  for (std::size_t i = 0; i < count; ++i) read(bytes + i * layout.bytes, values + i * layout.weights);
}

}  // namespace elastify
