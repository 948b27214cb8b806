// Matrix products. See kernels.hpp for the promise about the order of sums.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels_matmul.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "fetch.hpp"
#include "half.hpp"
#include "kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most a tile's inputs, so that tiles hold whole vectors. Register blocks are arrays of vectors, which rules out
// targets with sizeless vectors (SVE, RVV); see runtime/CMakeLists.txt.
using D = hn::CappedTag<float, 32>;
using V = hn::Vec<D>;
constexpr std::uint32_t kTile = 32;

#include "lane_sums-inl.hpp"

#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kBlockRows = 4;  // 32 registers: 4 x 6 sums and 4 rows of weights
#else
constexpr int kBlockRows = 2;  // 16 registers: 2 x 6 sums and 2 rows of weights
#endif
constexpr int kBlockTokens = 6;
// One token: independent sums hide the latency of an addition, but every row is one more stream from memory.
constexpr int kSingleRows = HWY_TARGET <= HWY_AVX3 ? 4 : 8;

HWY_INLINE V load_weights(D d, const float* p) { return hn::LoadU(d, p); }
HWY_INLINE V load_weights(D d, const hwy::float16_t* p) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::float16_t, D>(), p));
}

HWY_INLINE float to_float(float value) { return value; }
HWY_INLINE float to_float(hwy::float16_t value) { return float_from_half(std::bit_cast<std::uint16_t>(value)); }

// Adds 32 inputs to Rows x Tokens sums.
template <int Rows, int Tokens, typename W>
HWY_INLINE void add_tile(const W* w, std::size_t row_stride, const float* x, std::size_t x_stride, V (&sums)[Rows][Tokens]) {
  const D d;
  for (std::size_t i = 0; i < kTile; i += hn::Lanes(d)) {
    V weights[Rows];
    for (int r = 0; r < Rows; ++r) weights[r] = load_weights(d, w + r * row_stride + i);
    for (int t = 0; t < Tokens; ++t) {
      const V input = hn::LoadU(d, x + t * x_stride + i);
      for (int r = 0; r < Rows; ++r) sums[r][t] = hn::MulAdd(weights[r], input, sums[r][t]);
    }
  }
}

// The last inputs % 32 of rows that are not tiled: weights behind the row are another row's, so they are not read.
template <int Rows, int Tokens, typename W>
HWY_INLINE void add_tail(const W* w, std::size_t row_stride, std::uint32_t count, const float* x, std::size_t x_stride,
                         V (&sums)[Rows][Tokens]) {
  alignas(64) float rows[Rows][kTile] = {};
  for (int r = 0; r < Rows; ++r) {
    for (std::uint32_t i = 0; i < count; ++i) rows[r][i] = to_float(w[r * row_stride + i]);
  }
  add_tile<Rows, Tokens>(&rows[0][0], kTile, x, x_stride, sums);
}

template <int Rows, int Tokens>
HWY_INLINE void store_outputs(const Matmul& job, std::uint32_t output, std::uint32_t token, const V (&sums)[Rows][Tokens]) {
  V flat[Rows * Tokens];
  alignas(64) float products[Rows * Tokens + hn::MaxLanes(D())];
  for (int r = 0; r < Rows; ++r) {
    for (int t = 0; t < Tokens; ++t) flat[t * Rows + r] = sums[r][t];
  }
  sum_lanes(flat, products);
  const hn::CappedTag<float, Rows> some;  // Rows is a power of two
  for (int t = 0; t < Tokens; ++t) {
    float* y = job.y + (token + t) * job.y_stride + output;
    for (std::size_t r = 0; r < Rows; r += hn::Lanes(some)) {
      auto value = hn::Mul(hn::Set(some, job.scale), hn::LoadU(some, products + t * Rows + r));
      if (job.bias != nullptr) value = hn::Add(value, hn::LoadU(some, job.bias + output + r));
      if (job.accumulate) value = hn::Add(hn::LoadU(some, y + r), value);
      hn::StoreU(value, some, y + r);
    }
  }
}

// `fetch_ahead`: the next Rows rows are fetched while these are multiplied. They lie further on than the hardware looks.
template <int Rows, int Tokens, typename W>
HWY_NOINLINE void matmul_block(const Matmul& job, std::uint32_t output, std::uint32_t token, bool fetch_ahead) {
  const D d;
  const Matrix& m = *job.weights;
  const W* w = reinterpret_cast<const W*>(m.data) + output * m.row_stride;
  const float* x = job.x + token * job.x_stride;
  V sums[Rows][Tokens];
  for (int r = 0; r < Rows; ++r) {
    for (int t = 0; t < Tokens; ++t) sums[r][t] = hn::Zero(d);
  }
  // A tiled matrix always holds whole tiles, and inputs beyond the level's last are zero in x.
  const std::uint32_t tail = m.tiled ? 0 : job.inputs % kTile;
  const std::uint32_t tiles = m.tiled ? (job.inputs + kTile - 1) / kTile : job.inputs / kTile;
  for (std::uint32_t tile = 0; tile < tiles; ++tile) {
    const W* at = w + tile * m.tile_stride;
    if (fetch_ahead) {
      for (int r = 0; r < Rows; ++r) fetch(at + (Rows + r) * m.row_stride, kTile * sizeof(W));
    }
    add_tile<Rows, Tokens>(at, m.row_stride, x + tile * kTile, job.x_stride, sums);
  }
  if (tail != 0) add_tail<Rows, Tokens>(w + tiles * m.tile_stride, m.row_stride, tail, x + tiles * kTile, job.x_stride, sums);
  store_outputs(job, output, token, sums);
}

// Rows of one token side by side, a tile of each in turn: the order of a tiled matrix's bytes. A matrix wider than a page would
// otherwise be read in short pieces of many pages. `rows` is a multiple of kSingleRows; their sums wait in the first-level cache.
constexpr std::uint32_t kStretchRows = kStreamedRows;

template <typename W>
HWY_NOINLINE void stream_tiles(const Matmul& job, std::uint32_t output, std::uint32_t rows) {
  const D d;
  const Matrix& m = *job.weights;
  const W* w = reinterpret_cast<const W*>(m.data) + output * m.row_stride;
  V sums[kStretchRows / kSingleRows][kSingleRows][1];
  for (auto& group : sums) {
    for (auto& sum : group) sum[0] = hn::Zero(d);
  }
  const std::uint32_t tiles = (job.inputs + kTile - 1) / kTile;
  for (std::uint32_t tile = 0; tile < tiles; ++tile) {
    for (std::uint32_t group = 0; group < rows / kSingleRows; ++group) {
      const W* at = w + tile * m.tile_stride + group * kSingleRows * m.row_stride;
      fetch(at + 2 * m.tile_stride, kSingleRows * kTile * sizeof(W));
      add_tile<kSingleRows, 1>(at, m.row_stride, job.x + tile * kTile, job.x_stride, sums[group]);
    }
  }
  for (std::uint32_t group = 0; group < rows / kSingleRows; ++group) store_outputs(job, output + group * kSingleRows, 0, sums[group]);
}

template <int Tokens, typename W>
void matmul_tokens(const Matmul& job, std::uint32_t begin, std::uint32_t end, std::uint32_t token) {
  constexpr std::uint32_t kRows = Tokens == 1 ? kSingleRows : kBlockRows;
  std::uint32_t output = begin;
  if (job.tokens == 1 && job.weights->tiled) {
    while (end - output >= kRows) {
      const std::uint32_t rows = std::min(kStretchRows, (end - output) / kRows * kRows);
      stream_tiles<W>(job, output, rows);
      output += rows;
    }
  }
  for (; output + kRows <= end; output += kRows) {
    matmul_block<kRows, Tokens, W>(job, output, token, Tokens == 1 && output + 2 * kRows <= end);
  }
  for (; output < end; ++output) matmul_block<1, Tokens, W>(job, output, token, false);
}

// Many tokens: a stretch of their inputs stays in the first-level cache while kGroupRows rows pass, whose sums wait there too.
constexpr std::uint32_t kStretchTiles = 16, kGroupRows = 32;

template <int Rows, int Tokens>
HWY_INLINE void load_sums(const float* from, V (&sums)[Rows][Tokens]) {
  const D d;
  for (int r = 0; r < Rows; ++r) {
    for (int t = 0; t < Tokens; ++t) sums[r][t] = hn::Load(d, from + (r * Tokens + t) * hn::Lanes(d));
  }
}

template <int Rows, int Tokens>
HWY_INLINE void store_sums(const V (&sums)[Rows][Tokens], float* to) {
  const D d;
  for (int r = 0; r < Rows; ++r) {
    for (int t = 0; t < Tokens; ++t) hn::Store(sums[r][t], d, to + (r * Tokens + t) * hn::Lanes(d));
  }
}

template <typename W>
HWY_NOINLINE void matmul_group(const Matmul& job, std::uint32_t output, std::uint32_t token) {
  const D d;
  const Matrix& m = *job.weights;
  const W* w = reinterpret_cast<const W*>(m.data) + output * m.row_stride;
  const float* x = job.x + token * job.x_stride;
  alignas(64) float sums[kGroupRows / kBlockRows][kBlockRows * kBlockTokens * hn::MaxLanes(d)] = {};
  const std::uint32_t tail = m.tiled ? 0 : job.inputs % kTile;
  const std::uint32_t tiles = m.tiled ? (job.inputs + kTile - 1) / kTile : job.inputs / kTile;
  for (std::uint32_t first = 0; first < tiles; first += kStretchTiles) {
    const std::uint32_t last = std::min(tiles, first + kStretchTiles);
    for (std::uint32_t block = 0; block < kGroupRows / kBlockRows; ++block) {
      const W* rows = w + block * kBlockRows * m.row_stride;
      V held[kBlockRows][kBlockTokens];
      load_sums(sums[block], held);
      for (std::uint32_t tile = first; tile < last; ++tile) {
        add_tile<kBlockRows, kBlockTokens>(rows + tile * m.tile_stride, m.row_stride, x + tile * kTile, job.x_stride, held);
      }
      store_sums(held, sums[block]);
    }
  }
  for (std::uint32_t block = 0; block < kGroupRows / kBlockRows; ++block) {
    const W* rows = w + tiles * m.tile_stride + block * kBlockRows * m.row_stride;
    V held[kBlockRows][kBlockTokens];
    load_sums(sums[block], held);
    if (tail != 0) add_tail<kBlockRows, kBlockTokens>(rows, m.row_stride, tail, x + tiles * kTile, job.x_stride, held);
    store_outputs(job, output + block * kBlockRows, token, held);
  }
}

template <typename W>
void matmul_typed(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  std::uint32_t token = 0;
  const bool stretches = job.inputs > kStretchTiles * kTile;  // else all inputs stay in that cache
  for (; token + kBlockTokens <= job.tokens; token += kBlockTokens) {
    std::uint32_t output = begin;
    for (; stretches && output + kGroupRows <= end; output += kGroupRows) matmul_group<W>(job, output, token);
    matmul_tokens<kBlockTokens, W>(job, output, end, token);
  }
  switch (job.tokens - token) {
    case 5: return matmul_tokens<5, W>(job, begin, end, token);
    case 4: return matmul_tokens<4, W>(job, begin, end, token);
    case 3: return matmul_tokens<3, W>(job, begin, end, token);
    case 2: return matmul_tokens<2, W>(job, begin, end, token);
    case 1: return matmul_tokens<1, W>(job, begin, end, token);
    default: return;
  }
}

void MatmulRange(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  if (job.weights->type == TensorType::kF32) return matmul_typed<float>(job, begin, end);
  matmul_typed<hwy::float16_t>(job, begin, end);
}

// One output's weights, picked out of its panels.
void load_panel_row(const Matrix& matrix, std::size_t row, float* out) {
  constexpr std::size_t kSide = format::kPanelOutputs;
  const auto* panels = reinterpret_cast<const std::uint8_t*>(matrix.data) + row / kSide * matrix.row_stride;
  for (std::size_t i = 0; i < matrix.inputs; ++i) {
    const std::uint8_t* panel = panels + i / kSide * matrix.tile_stride;
    const std::size_t group = i % kSide / 4, output = row % kSide;
    const auto byte_at = [&](std::size_t g) { return panel[format::kPanelScaleBytes + (g * kSide + output) * 4 + i % 4]; };
    std::uint16_t scale;
    std::memcpy(&scale, panel + 2 * output, sizeof(scale));
    int q = 0;
    if (matrix.type == TensorType::kQ8_0) q = byte_at(group) - 128;
    else q = (group < 4 ? byte_at(group) & 15 : byte_at(group - 4) >> 4) - 8;
    out[i] = float_from_half(scale) * static_cast<float>(q);
  }
}

void LoadRow(const Matrix& matrix, std::size_t row, float* out) {
  const std::size_t count = matrix.inputs;
  if (matrix.quantised()) return load_panel_row(matrix, row, out);
  if (matrix.type == TensorType::kF32) {
    const float* in = reinterpret_cast<const float*>(matrix.data) + row * matrix.row_stride;
    for (std::size_t i = 0; i < count; ++i) out[i] = in[i];
  } else {
    const auto* in = reinterpret_cast<const hwy::float16_t*>(matrix.data) + row * matrix.row_stride;
    for (std::size_t i = 0; i < count; ++i) out[i] = to_float(in[i]);
  }
}

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(MatmulRange);
HWY_EXPORT(LoadRow);

void matmul(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  const Matrix& m = *job.weights;
  if (m.quantised()) return matmul_panels(job, begin, end);
  if (m.type == TensorType::kF16 && !m.tiled && job.inputs <= kLowRank && m.row_stride == job.inputs && job.bias == nullptr) {
    return matmul_low_rank(job, begin, end);
  }
  HWY_DYNAMIC_DISPATCH(MatmulRange)(job, begin, end);
}
void load_row(const Matrix& matrix, std::size_t row, float* out) { HWY_DYNAMIC_DISPATCH(LoadRow)(matrix, row, out); }
}  // namespace elrt::kernels
#endif
