// Keys and values on their way into the cache (kv_layout.hpp).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/kernels_kv_store.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/half.hpp"
#include "kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPadding>;
using V = hn::Vec<D>;

constexpr float kLargestHalf = 65504;

// What a half cannot hold is kept at its largest; a NaN stays one, so that damage is seen.
HWY_INLINE void to_halves(const float* x, std::size_t count, std::uint16_t* out) {
  const D d;
  const hn::Rebind<hwy::float16_t, D> dh;
  std::size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    const V value = hn::LoadU(d, x + i),
            held = hn::Min(hn::Set(d, kLargestHalf), hn::Max(hn::Set(d, -kLargestHalf), value));
    const V seen = hn::IfThenElse(hn::IsNaN(value), value,
                                  held);  // of a NaN and a number, minima and maxima of some processors are the number
    hn::StoreU(hn::DemoteTo(dh, seen), dh, reinterpret_cast<hwy::float16_t*>(out) + i);
  }
  for (; i < count; ++i)
    out[i] = half_from_float(x[i] > kLargestHalf ? kLargestHalf : x[i] < -kLargestHalf ? -kLargestHalf : x[i]);
}

// At most kKvBlock values; returns their scale, a half. With a NaN or an infinity among them that is NaN.
HWY_INLINE std::uint16_t to_bytes(const float* x, std::size_t count, std::int8_t* out) {
  float largest = 0, probe = 0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::abs(x[i]));
    probe += x[i] * 0.0f;  // NaN where a value is NaN or infinite
  }
  const std::uint16_t bits = half_from_float(std::min(largest / 127, kLargestHalf) + probe);
  const float scale = float_from_half(bits);
  if (!(scale > 0)) {
    std::fill_n(out, count, std::int8_t{0});
    return bits;
  }
  const float inverse = 1 / scale;
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<std::int8_t>(std::clamp(std::nearbyint(x[i] * inverse), -127.0f, 127.0f));
  return bits;
}

void StoreValue(KvType type, const float* x, std::size_t dim, std::byte* row) {
  if (type == KvType::kF32) {
    std::memcpy(row, x, dim * sizeof(float));
  } else if (type == KvType::kF16) {
    to_halves(x, dim, reinterpret_cast<std::uint16_t*>(row));
  } else {
    auto* bytes = reinterpret_cast<std::int8_t*>(row + 2 * kv_blocks(dim));
    for (std::size_t first = 0; first < dim; first += kKvBlock) {
      const std::uint16_t scale = to_bytes(x + first, std::min(kKvBlock, dim - first), bytes + first);
      std::memcpy(row + 2 * (first / kKvBlock), &scale, sizeof(scale));
    }
  }
}

template <typename T>
HWY_INLINE void scatter(const T* x, std::size_t count, T* tile) {
  for (std::size_t i = 0; i < count; ++i) tile[i * kKvTile] = x[i];
}

void StoreKey(KvType type, const float* x, std::size_t dim, std::byte* tile, std::size_t position) {
  if (type == KvType::kF32) return scatter(x, dim, reinterpret_cast<float*>(tile) + position);
  auto* halves = reinterpret_cast<std::uint16_t*>(tile) + position;
  auto* bytes = reinterpret_cast<std::int8_t*>(tile + 2 * kv_blocks(dim) * kKvTile) + position;
  for (std::size_t first = 0; first < dim; first += kKvBlock) {
    const std::size_t count = std::min(kKvBlock, dim - first);
    if (type == KvType::kF16) {
      std::uint16_t block[kKvBlock];
      to_halves(x + first, count, block);
      scatter(block, count, halves + first * kKvTile);
    } else {
      std::int8_t block[kKvBlock];
      halves[first / kKvBlock * kKvTile] = to_bytes(x + first, count, block);
      scatter(block, count, bytes + first * kKvTile);
    }
  }
}

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(StoreValue);
HWY_EXPORT(StoreKey);

void store_value(KvType type, const float* x, std::size_t head_dim, std::byte* row) {
  HWY_DYNAMIC_DISPATCH(StoreValue)(type, x, head_dim, row);
}
void store_key(KvType type, const float* x, std::size_t head_dim, std::byte* tile, std::size_t position) {
  HWY_DYNAMIC_DISPATCH(StoreKey)(type, x, head_dim, tile, position);
}
}  // namespace elrt::kernels
#endif
