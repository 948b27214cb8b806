// Attention over the cache, and how rows get there. See kernels.hpp for the promise about the order of sums.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels_attention.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "half.hpp"
#include "kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPadding>;
using V = hn::Vec<D>;

// Rows of each type: vector() gives values i.., value() one; what they give counts scale(block) times, block being `block` values.
struct F32Row {
  const float* values;
  explicit F32Row(const std::byte* row, std::size_t) : values(reinterpret_cast<const float*>(row)) {}
  static std::size_t block(std::size_t head_dim) { return head_dim; }
  HWY_INLINE V vector(std::size_t i) const { return hn::LoadU(D(), values + i); }
  float value(std::size_t i) const { return values[i]; }
  float scale(std::size_t) const { return 1; }
};

struct F16Row {
  const hwy::float16_t* values;
  explicit F16Row(const std::byte* row, std::size_t) : values(reinterpret_cast<const hwy::float16_t*>(row)) {}
  static std::size_t block(std::size_t head_dim) { return head_dim; }
  HWY_INLINE V vector(std::size_t i) const { return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::float16_t, D>(), values + i)); }
  float value(std::size_t i) const { return float_from_half(std::bit_cast<std::uint16_t>(values[i])); }
  float scale(std::size_t) const { return 1; }
};

struct Q8Row {
  const std::byte* scales;
  const std::int8_t* values;
  explicit Q8Row(const std::byte* row, std::size_t head_dim)
      : scales(row), values(reinterpret_cast<const std::int8_t*>(row + 2 * kv_blocks(head_dim))) {}
  static std::size_t block(std::size_t) { return kKvBlock; }
  HWY_INLINE V vector(std::size_t i) const {
    const hn::RebindToSigned<D> di;
    return hn::ConvertTo(D(), hn::PromoteTo(di, hn::LoadU(hn::Rebind<std::int8_t, D>(), values + i)));
  }
  float value(std::size_t i) const { return values[i]; }
  float scale(std::size_t block) const {
    std::uint16_t bits;
    std::memcpy(&bits, scales + 2 * block, sizeof(bits));
    return float_from_half(bits);
  }
};

#include "exponentials-inl.hpp"
#include "lane_sums-inl.hpp"

constexpr int kRowsAtOnce = 8;

// scores[c] = query . row c, for Count rows that follow each other; a score's bits do not depend on Count.
template <int Count, typename Row>
HWY_INLINE void score_rows(const Attention& job, const std::byte* rows, float* scores) {
  const D d;
  const std::size_t lanes = hn::Lanes(d), dim = job.head_dim, block = Row::block(dim);
  V totals[Count];
  float rest[Count] = {}, dots[Count];
  for (V& total : totals) total = hn::Zero(d);
  for (std::size_t first = 0; first < dim; first += block) {
    const std::size_t last = std::min(dim, first + block);
    V sums[Count];
    for (V& sum : sums) sum = hn::Zero(d);
    std::size_t i = first;
    for (; i + lanes <= last; i += lanes) {
      const V query = hn::LoadU(d, job.query + i);
      for (int c = 0; c < Count; ++c) sums[c] = hn::MulAdd(query, Row(rows + c * job.row_bytes, dim).vector(i), sums[c]);
    }
    for (int c = 0; c < Count; ++c) {
      const Row row(rows + c * job.row_bytes, dim);
      const float scale = row.scale(first / block);
      totals[c] = hn::MulAdd(sums[c], hn::Set(d, scale), totals[c]);
      for (std::size_t t = i; t < last; ++t) rest[c] += job.query[t] * row.value(t) * scale;
    }
  }
  sum_lanes(totals, dots);
  for (int c = 0; c < Count; ++c) scores[c] = dots[c] + rest[c];
}

// Rows of values, one per weight.
struct ValueRows {
  const std::byte* rows;
  std::size_t row_bytes, head_dim;
  const float* weights;
  std::size_t count;

  template <typename Row>
  HWY_INLINE Row row(std::size_t j) const { return Row(rows + j * row_bytes, head_dim); }
};

// out[i..] = the weighted sum of Vectors vectors of the rows, held in registers while the rows pass.
template <int Vectors, typename Row>
HWY_INLINE void sum_vectors(const ValueRows& values, std::size_t i, float* out) {
  const D d;
  const std::size_t lanes = hn::Lanes(d), block = i / Row::block(values.head_dim);
  V sums[Vectors];
  for (V& sum : sums) sum = hn::Zero(d);
  for (std::size_t j = 0; j < values.count; ++j) {
    const Row row = values.row<Row>(j);
    const V factor = hn::Set(d, values.weights[j] * row.scale(block));
    for (int v = 0; v < Vectors; ++v) sums[v] = hn::MulAdd(factor, row.vector(i + v * lanes), sums[v]);
  }
  for (int v = 0; v < Vectors; ++v) hn::StoreU(sums[v], d, out + i + v * lanes);
}

template <typename Row>
HWY_INLINE void weighted_sum(const ValueRows& values, float* out) {
  const std::size_t lanes = hn::Lanes(D()), block = Row::block(values.head_dim);
  for (std::size_t first = 0; first < values.head_dim; first += block) {
    const std::size_t last = std::min(values.head_dim, first + block);
    std::size_t i = first;
    for (; i + 8 * lanes <= last; i += 8 * lanes) sum_vectors<8, Row>(values, i, out);
    for (; i + 4 * lanes <= last; i += 4 * lanes) sum_vectors<4, Row>(values, i, out);
    for (; i + lanes <= last; i += lanes) sum_vectors<1, Row>(values, i, out);
    for (; i < last; ++i) {
      out[i] = 0;
      for (std::size_t j = 0; j < values.count; ++j) {
        const Row row = values.row<Row>(j);
        out[i] += values.weights[j] * row.scale(first / block) * row.value(i);
      }
    }
  }
}

template <typename Row>
HWY_NOINLINE void attend_typed(const Attention& job) {
  const std::size_t count = job.end - job.begin, dim = job.head_dim;
  const std::byte* keys = job.keys + job.begin * job.row_bytes;
  const std::byte* values = job.values + job.begin * job.row_bytes;
  std::size_t j = 0;
  for (; j + kRowsAtOnce <= count; j += kRowsAtOnce) score_rows<kRowsAtOnce, Row>(job, keys + j * job.row_bytes, job.scores + j);
  for (; j < count; ++j) score_rows<1, Row>(job, keys + j * job.row_bytes, job.scores + j);
  const float norm = 1.0f / exponentials(job.scores, job.scale, count);
  weighted_sum<Row>({values, job.row_bytes, dim, job.scores, count}, job.out);
  for (std::size_t i = 0; i < dim; ++i) job.out[i] *= norm;
}

void Attend(const Attention& job) {
  switch (job.type) {
    case KvType::kF32: return attend_typed<F32Row>(job);
    case KvType::kF16: return attend_typed<F16Row>(job);
    case KvType::kQ8_0: return attend_typed<Q8Row>(job);
  }
}

constexpr float kLargestHalf = 65504;

// What a half cannot hold is kept at its largest; a NaN stays one, so that damage is seen (x86's Max and Min give their second operand then).
HWY_INLINE void store_halves(const float* x, std::size_t count, std::byte* out) {
  const D d;
  const hn::Rebind<hwy::float16_t, D> dh;
  auto* halves = reinterpret_cast<hwy::float16_t*>(out);
  std::size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    const V value = hn::Min(hn::Set(d, kLargestHalf), hn::Max(hn::Set(d, -kLargestHalf), hn::LoadU(d, x + i)));
    hn::StoreU(hn::DemoteTo(dh, value), dh, halves + i);
  }
  for (; i < count; ++i) {
    const std::uint16_t bits = half_from_float(x[i] > kLargestHalf ? kLargestHalf : x[i] < -kLargestHalf ? -kLargestHalf : x[i]);
    std::memcpy(out + 2 * i, &bits, sizeof(bits));
  }
}

// A block with a NaN or an infinity gets the scale NaN.
HWY_INLINE void store_block(const float* x, std::size_t count, std::byte* scale_out, std::int8_t* out) {
  float largest = 0, probe = 0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::abs(x[i]));
    probe += x[i] * 0.0f;  // NaN where a value is NaN or infinite
  }
  const std::uint16_t bits = half_from_float(std::min(largest / 127, kLargestHalf) + probe);
  const float scale = float_from_half(bits);
  std::memcpy(scale_out, &bits, sizeof(bits));
  if (!(scale > 0)) return static_cast<void>(std::fill_n(out, count, std::int8_t{0}));
  const float inverse = 1 / scale;
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<std::int8_t>(std::clamp(std::nearbyint(x[i] * inverse), -127.0f, 127.0f));
}

void StoreKvRow(KvType type, const float* x, std::size_t dim, std::byte* row) {
  if (type == KvType::kF32) {
    std::memcpy(row, x, dim * sizeof(float));
  } else if (type == KvType::kF16) {
    store_halves(x, dim, row);
  } else {
    auto* bytes = reinterpret_cast<std::int8_t*>(row + 2 * kv_blocks(dim));
    for (std::size_t first = 0; first < dim; first += kKvBlock) {
      store_block(x + first, std::min(kKvBlock, dim - first), row + 2 * (first / kKvBlock), bytes + first);
    }
  }
}

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(Attend);
HWY_EXPORT(StoreKvRow);

void attend(const Attention& job) { HWY_DYNAMIC_DISPATCH(Attend)(job); }
void store_kv_row(KvType type, const float* x, std::size_t head_dim, std::byte* row) {
  HWY_DYNAMIC_DISPATCH(StoreKvRow)(type, x, head_dim, row);
}
}  // namespace elrt::kernels
#endif
