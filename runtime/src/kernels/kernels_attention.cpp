// Attention over the cache (kv_layout.hpp). See kernels.hpp for the promise about the order of sums: a score is one sum
// over ascending dimensions, an output one over ascending positions, whatever else is computed, so that one query and
// many have the same bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/kernels_attention.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/half.hpp"
#include "kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPadding>;
using V = hn::Vec<D>;
constexpr std::size_t kLanes = hn::MaxLanes(D());

#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kSums = 24;  // vectors of sums in registers, of 32
#else
constexpr int kSums = 12;  // of 16
#endif

HWY_INLINE V load_floats(const float* p) { return hn::LoadU(D(), p); }
HWY_INLINE V load_floats(const hwy::float16_t* p) {
  return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::float16_t, D>(), p));
}
HWY_INLINE V load_floats(const std::int8_t* p) {
  const hn::RebindToSigned<D> di;
  return hn::ConvertTo(D(), hn::PromoteTo(di, hn::LoadU(hn::Rebind<std::int8_t, D>(), p)));
}

// The cache's types: what is stored, and for Q8_0 how many values share a scale.
template <typename T>
struct Plain {
  using Element = T;
  static constexpr bool kScaled = false;
  static std::size_t block(std::size_t head_dim) { return head_dim; }
  static const T* values(const std::byte* row, std::size_t) { return reinterpret_cast<const T*>(row); }
  static const T* keys(const std::byte* tile, std::size_t) { return reinterpret_cast<const T*>(tile); }
};
struct Bytes {
  using Element = std::int8_t;
  static constexpr bool kScaled = true;
  static std::size_t block(std::size_t) { return kKvBlock; }
  static const Element* values(const std::byte* row, std::size_t head_dim) {
    return reinterpret_cast<const Element*>(row + 2 * kv_blocks(head_dim));
  }
  static const Element* keys(const std::byte* tile, std::size_t head_dim) {
    return values(tile, 0) + 2 * kv_blocks(head_dim) * kKvTile;
  }
};

#include "kernels/exponentials-inl.hpp"

// --- scores

// Tiles tiles that follow each other, Vectors vectors of each from position `at` within it, against Queries queries.
template <int Queries, int Tiles, int Vectors, typename Type>
HWY_INLINE void score_vectors(const Attention& job, std::size_t query, const std::byte* tile, std::size_t at,
                              float* scores) {
  using Element = typename Type::Element;
  constexpr int kAll = Tiles * Vectors;
  const D d;
  const std::size_t dim = job.head_dim, block = Type::block(dim), bytes = kv_tile_bytes(job.type, dim);
  const auto place = [&](int v, std::size_t stride) {
    return static_cast<std::size_t>(v / Vectors) * stride + at + static_cast<std::size_t>(v % Vectors) * hn::Lanes(d);
  };
  const Element* keys = Type::keys(tile, dim);
  const float* q = job.queries + query * job.query_stride;
  V totals[Queries][kAll];
  for (auto& row : totals) {
    for (V& total : row) total = hn::Zero(d);
  }
  for (std::size_t first = 0; first < dim; first += block) {
    V sums[Queries][kAll];
    for (auto& row : sums) {
      for (V& sum : row) sum = hn::Zero(d);
    }
    for (std::size_t i = first; i < std::min(dim, first + block); ++i) {
      V key[kAll];
      for (int v = 0; v < kAll; ++v) key[v] = load_floats(keys + i * kKvTile + place(v, bytes / sizeof(Element)));
      for (int t = 0; t < Queries; ++t) {
        const V x = hn::Set(d, q[t * job.query_stride + i]);
        for (int v = 0; v < kAll; ++v) sums[t][v] = hn::MulAdd(x, key[v], sums[t][v]);
      }
    }
    for (int v = 0; v < kAll; ++v) {
      if constexpr (Type::kScaled) {
        const V scale =
            load_floats(reinterpret_cast<const hwy::float16_t*>(tile) + first / block * kKvTile + place(v, bytes / 2));
        for (int t = 0; t < Queries; ++t) totals[t][v] = hn::MulAdd(sums[t][v], scale, totals[t][v]);
      } else {
        for (int t = 0; t < Queries; ++t) totals[t][v] = sums[t][v];
      }
    }
  }
  for (int t = 0; t < Queries; ++t) {
    for (int v = 0; v < kAll; ++v) hn::StoreU(totals[t][v], d, scores + t * job.score_stride + place(v, kKvTile));
  }
}

// As many sums at once as registers hold; few queries take several tiles, because sums that are independent hide an
// addition's latency.
template <int Queries, typename Type>
HWY_NOINLINE void score_tiles(const Attention& job, std::size_t query, std::size_t first, std::size_t last) {
  constexpr int kTileVectors = static_cast<int>(kKvTile / kLanes), kRoom = kSums / Queries;
  constexpr int kVectors = kTileVectors <= kRoom ? kTileVectors : kRoom >= 4 ? 4 : kRoom >= 2 ? 2 : 1;
  constexpr int kTiles = kVectors < kTileVectors || kVectors * 4 > kRoom ? 1 : 4;
  const std::size_t bytes = kv_tile_bytes(job.type, job.head_dim);
  const auto scores = [&](std::size_t tile) {
    return job.scores + query * job.score_stride + (tile - first) * kKvTile;
  };
  std::size_t tile = first;
  for (; kTiles > 1 && tile + kTiles <= last; tile += kTiles)
    score_vectors<Queries, kTiles, kVectors, Type>(job, query, job.keys + tile * bytes, 0, scores(tile));
  for (; tile < last; ++tile) {
    for (std::size_t at = 0; at < kKvTile; at += kVectors * hn::Lanes(D()))
      score_vectors<Queries, 1, kVectors, Type>(job, query, job.keys + tile * bytes, at, scores(tile));
  }
}

// --- weighted sums of values

// out[query][i..] += the weighted sum of positions first..last-1, Vectors vectors of it for Queries queries.
template <int Queries, int Vectors, typename Type>
HWY_INLINE void add_vectors(const Attention& job, std::size_t query, std::size_t i, std::size_t first, std::size_t last,
                            const float* weights) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  float* out = job.out + query * job.out_stride + i;
  V sums[Queries][Vectors];
  for (int t = 0; t < Queries; ++t) {
    for (int v = 0; v < Vectors; ++v) sums[t][v] = hn::LoadU(d, out + t * job.out_stride + v * lanes);
  }
  for (std::size_t j = first; j < last; ++j) {
    const std::byte* row = job.values + j * job.row_bytes;
    const auto* values = Type::values(row, job.head_dim) + i;
    V value[Vectors];
    for (int v = 0; v < Vectors; ++v) value[v] = load_floats(values + v * lanes);
    float scale = 1;
    if constexpr (Type::kScaled) scale = float_from_half(reinterpret_cast<const std::uint16_t*>(row)[i / kKvBlock]);
    for (int t = 0; t < Queries; ++t) {
      const float weight = weights[t * job.score_stride + j];
      const V factor = hn::Set(d, Type::kScaled ? weight * scale : weight);
      for (int v = 0; v < Vectors; ++v) sums[t][v] = hn::MulAdd(factor, value[v], sums[t][v]);
    }
  }
  for (int t = 0; t < Queries; ++t) {
    for (int v = 0; v < Vectors; ++v) hn::StoreU(sums[t][v], d, out + t * job.out_stride + v * lanes);
  }
}

HWY_INLINE float to_float(float value) { return value; }
HWY_INLINE float to_float(hwy::float16_t value) { return float_from_half(std::bit_cast<std::uint16_t>(value)); }
HWY_INLINE float to_float(std::int8_t value) { return value; }

// The last dimensions, fewer than a vector.
template <typename Type>
HWY_INLINE void add_value(const Attention& job, std::size_t query, std::size_t i, std::size_t first, std::size_t last,
                          const float* weights) {
  float& out = job.out[query * job.out_stride + i];
  for (std::size_t j = first; j < last; ++j) {
    const std::byte* row = job.values + j * job.row_bytes;
    float weight = weights[j];
    if constexpr (Type::kScaled) weight *= float_from_half(reinterpret_cast<const std::uint16_t*>(row)[i / kKvBlock]);
    out += weight * to_float(Type::values(row, job.head_dim)[i]);
  }
}

// weights: of position 0, for each query score_stride further.
template <int Queries, typename Type>
HWY_NOINLINE void add_rows(const Attention& job, std::size_t query, std::size_t first, std::size_t last,
                           const float* weights) {
  if (first >= last) return;
  constexpr int kRoom = kSums / Queries, kMost = kRoom >= 8 ? 8 : 4;
  const std::size_t lanes = hn::Lanes(D()), block = Type::block(job.head_dim);
  for (std::size_t begin = 0; begin < job.head_dim; begin += block) {
    const std::size_t end = std::min(job.head_dim, begin + block);
    std::size_t i = begin;
    for (; i + kMost * lanes <= end; i += kMost * lanes)
      add_vectors<Queries, kMost, Type>(job, query, i, first, last, weights);
    for (; i + 4 * lanes <= end; i += 4 * lanes) add_vectors<Queries, 4, Type>(job, query, i, first, last, weights);
    for (; i + 2 * lanes <= end; i += 2 * lanes) add_vectors<Queries, 2, Type>(job, query, i, first, last, weights);
    for (; i + lanes <= end; i += lanes) add_vectors<Queries, 1, Type>(job, query, i, first, last, weights);
    for (; i < end; ++i) {
      for (int t = 0; t < Queries; ++t) add_value<Type>(job, query + t, i, first, last, weights + t * job.score_stride);
    }
  }
}

// --- several queries

// Where a query's positions begin and end.
HWY_INLINE std::size_t end_of(const Attention& job, std::size_t query) { return job.first + query + 1; }
HWY_INLINE std::size_t begin_of(const Attention& job, std::size_t query) {
  return job.window == 0 || job.window >= end_of(job, query) ? 0 : end_of(job, query) - job.window;
}

template <int Queries, typename Type>
HWY_NOINLINE void attend_some(const Attention& job, std::size_t query) {
  const std::size_t tile = begin_of(job, query) / kKvTile, base = tile * kKvTile, last = query + Queries - 1;
  score_tiles<Queries, Type>(job, query, tile, kv_tiles(end_of(job, last)));
  float norms[Queries];
  for (std::size_t t = 0; t < Queries; ++t) {
    float* scores = job.scores + (query + t) * job.score_stride;
    std::fill(scores, scores + (begin_of(job, query + t) - base), std::numeric_limits<float>::lowest());
    norms[t] = 1.0f / exponentials(scores, job.scale, end_of(job, query + t) - base);
    std::fill_n(job.out + (query + t) * job.out_stride, job.head_dim, 0.0f);
  }
  // Positions that all of them see pass once; the parts before and after are those that some see.
  const float* weights = job.scores + query * job.score_stride - base;
  const std::size_t seen_by_all = begin_of(job, last), until = std::max(seen_by_all, end_of(job, query));
  const auto each = [&](const auto& part) {
    for (std::size_t t = 0; t < Queries; ++t) part(query + t, weights + t * job.score_stride);
  };
  each([&](std::size_t one, const float* w) {
    add_rows<1, Type>(job, one, begin_of(job, one), std::min(seen_by_all, end_of(job, one)), w);
  });
  add_rows<Queries, Type>(job, query, seen_by_all, std::min(until, end_of(job, query)), weights);
  each([&](std::size_t one, const float* w) {
    add_rows<1, Type>(job, one, std::max(until, begin_of(job, one)), end_of(job, one), w);
  });
  for (std::size_t t = 0; t < Queries; ++t) {
    float* out = job.out + (query + t) * job.out_stride;
    for (std::size_t i = 0; i < job.head_dim; ++i) out[i] *= norms[t];
  }
}

template <typename Type>
void attend_typed(const Attention& job) {
  std::size_t query = 0;
  constexpr int kMany = kSums >= 24 ? 6 : 3;
  for (; query + kMany <= job.count; query += kMany) attend_some<kMany, Type>(job, query);
  for (; query + 2 <= job.count; query += 2) attend_some<2, Type>(job, query);
  for (; query < job.count; ++query) attend_some<1, Type>(job, query);
}

void Attend(const Attention& job) {
  switch (job.type) {
    case KvType::kF32:
      return attend_typed<Plain<float>>(job);
    case KvType::kF16:
      return attend_typed<Plain<hwy::float16_t>>(job);
    case KvType::kQ8_0:
      return attend_typed<Bytes>(job);
  }
}

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(Attend);

void attend(const Attention& job) { HWY_DYNAMIC_DISPATCH(Attend)(job); }
}  // namespace elrt::kernels
#endif
