// The products of F32, F16 and BF16 matrices: inputs lie along vectors, whose lanes are summed at the end. Included
// once per target, and once more where its instructions are extended, after D, V, kTile and lane_sums-inl.hpp.
//
// P says how weights meet inputs:
//   Weight, Input         as they lie in memory
//   values()              of either in a vector V
//   weights(p), inputs(p) vectors of them
//   add(sum, w, x)        sum and the products of each lane
//   inputs_of(job), input_stride(job)   rows of inputs, a token each
//   Copy, copy(weight)    the products, and their weights, of rows that are copied because they end within a vector

#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kBlockRows = 4;  // 32 registers: 4 x 6 sums and 4 rows of weights
#else
constexpr int kBlockRows = 2;  // 16 registers: 2 x 6 sums and 2 rows of weights
#endif
constexpr int kBlockTokens = 6;
// Few tokens: rows far apart are read at once, each one of the few ascending streams that a core's prefetchers follow
// best, and hide the latency of each other's additions. Neighbouring rows read at once would be short pieces, of one
// page where they are short.
template <int Tokens>
constexpr int kStreams = Tokens == 1 ? 8 : kBlockRows;
// Bytes of every stream, on their way before they are read. Eight streams are faster without with AVX2, and 3 to 14 %
// faster with it with AVX-512, where they come from memory; what the last-level cache holds is read 5 % faster without.
template <int Tokens>
constexpr std::size_t kFetchAhead = HWY_TARGET <= HWY_AVX3 ? 1024
                                    : kStreams<Tokens> < 8 ? 512
                                                           : 0;

// In a register, and there only after what was held before it. GCC would read an input again for every row that it
// meets and keep sums in memory meanwhile.
HWY_INLINE void hold(V& value) {
#if HWY_COMPILER_GCC_ACTUAL && HWY_ARCH_X86
  asm volatile("" : "+v"(value.raw));
#else
  (void)value;
#endif
}

template <typename P>
HWY_INLINE const typename P::Weight* row_of(const Matrix& m, std::uint32_t output) {
  return reinterpret_cast<const typename P::Weight*>(m.data) + output * m.row_stride;
}

// Adds 32 inputs to Rows x Tokens sums.
template <typename P, int Rows, int Tokens>
HWY_INLINE void add_tile(const typename P::Weight* w, std::size_t row_stride, const typename P::Input* x,
                         std::size_t x_stride, V (&sums)[Rows][Tokens]) {
  for (std::size_t i = 0; i < kTile; i += P::values()) {
    V weights[Rows];
    for (int r = 0; r < Rows; ++r) weights[r] = P::weights(w + r * row_stride + i);
    for (int t = 0; t < Tokens; ++t) {
      V input = P::inputs(x + t * x_stride + i);
      hold(input);
      for (int r = 0; r < Rows; ++r) sums[r][t] = P::add(sums[r][t], weights[r], input);
    }
  }
}

// The last inputs % 32 of rows that are not tiled: weights after the row are another row's, so they are not read.
template <typename P, int Rows, int Tokens>
HWY_INLINE void add_tail(const typename P::Weight* w, std::size_t row_stride, std::uint32_t count,
                         const typename P::Input* x, std::size_t x_stride, V (&sums)[Rows][Tokens]) {
  using Copy = typename P::Copy;
  alignas(64) typename Copy::Weight rows[Rows][kTile] = {};
  for (int r = 0; r < Rows; ++r) {
    for (std::uint32_t i = 0; i < count; ++i) rows[r][i] = P::copy(w[r * row_stride + i]);
  }
  add_tile<Copy>(&rows[0][0], kTile, x, x_stride, sums);
}

// `Count` neighbouring outputs of one token, before scale and bias.
template <int Count>
HWY_INLINE void store_products(const Matmul& job, std::uint32_t output, std::uint32_t token, const float* products) {
  const hn::CappedTag<float, Count> some;  // Count is a power of two
  float* y = job.y + token * job.y_stride + output;
  for (std::size_t r = 0; r < Count; r += hn::Lanes(some)) {
    auto value = hn::Mul(hn::Set(some, job.scale), hn::LoadU(some, products + r));
    if (job.bias != nullptr) value = hn::Add(value, hn::LoadU(some, job.bias + output + r));
    if (job.accumulate) value = hn::Add(hn::LoadU(some, y + r), value);
    hn::StoreU(value, some, y + r);
  }
}

// products[t * Rows + r]
template <int Rows, int Tokens>
HWY_INLINE void sum_rows(const V (&sums)[Rows][Tokens], float* products) {
  V flat[Rows * Tokens];
  for (int r = 0; r < Rows; ++r) {
    for (int t = 0; t < Tokens; ++t) flat[t * Rows + r] = sums[r][t];
  }
  sum_lanes(flat, products);
}

template <int Rows, int Tokens>
HWY_INLINE void store_outputs(const Matmul& job, std::uint32_t output, std::uint32_t token,
                              const V (&sums)[Rows][Tokens]) {
  alignas(64) float products[Rows * Tokens + hn::MaxLanes(D())];
  sum_rows(sums, products);
  for (int t = 0; t < Tokens; ++t) store_products<Rows>(job, output, token + t, products + t * Rows);
}

template <typename P, int Rows, int Tokens>
HWY_NOINLINE void matmul_block(const Matmul& job, std::uint32_t output, std::uint32_t token) {
  const D d;
  const Matrix& m = *job.weights;
  const auto* w = row_of<P>(m, output);
  const std::size_t x_stride = P::input_stride(job);
  const auto* x = P::inputs_of(job) + token * x_stride;
  V sums[Rows][Tokens];
  for (int r = 0; r < Rows; ++r) {
    for (int t = 0; t < Tokens; ++t) sums[r][t] = hn::Zero(d);
  }
  // A tiled matrix always holds whole tiles, and inputs beyond the level's last are zero in x.
  const std::uint32_t tail = m.tiled ? 0 : job.inputs % kTile;
  const std::uint32_t tiles = m.tiled ? (job.inputs + kTile - 1) / kTile : job.inputs / kTile;
  for (std::uint32_t tile = 0; tile < tiles; ++tile) {
    add_tile<P>(w + tile * m.tile_stride, m.row_stride, x + tile * kTile, x_stride, sums);
  }
  if (tail != 0) add_tail<P>(w + tiles * m.tile_stride, m.row_stride, tail, x + tiles * kTile, x_stride, sums);
  store_outputs(job, output, token, sums);
}

// kStreams x `rows` rows that are not tiled: one row of each stream after the other.
template <typename P, int Tokens>
HWY_NOINLINE void stream_rows(const Matmul& job, std::uint32_t output, std::uint32_t rows) {
  using W = typename P::Weight;
  constexpr int kCount = kStreams<Tokens>;
  const D d;
  const Matrix& m = *job.weights;
  const W* w = row_of<P>(m, output);
  const auto* x = P::inputs_of(job);
  const std::size_t apart = rows * m.row_stride, x_stride = P::input_stride(job);
  const std::uint32_t tiles = job.inputs / kTile, tail = job.inputs % kTile;
  for (std::uint32_t row = 0; row < rows; ++row, w += m.row_stride) {
    V sums[kCount][Tokens];
    for (auto& stream : sums) {
      for (V& sum : stream) sum = hn::Zero(d);
    }
    for (std::uint32_t tile = 0; tile < tiles; ++tile) {
      const W* at = w + tile * kTile;
      if (kFetchAhead < Tokens >> 0 && !job.cached) {
        for (int s = 0; s < kCount; ++s) fetch(at + s * apart + kFetchAhead<Tokens> / sizeof(W), kTile * sizeof(W));
      }
      add_tile<P>(at, apart, x + tile * kTile, x_stride, sums);
    }
    if (tail != 0) add_tail<P>(w + tiles * kTile, apart, tail, x + tiles * kTile, x_stride, sums);
    alignas(64) float products[kCount * Tokens + hn::MaxLanes(d)];
    sum_rows(sums, products);
    for (int t = 0; t < Tokens; ++t) {
      for (int s = 0; s < kCount; ++s) store_products<1>(job, output + s * rows + row, t, products + t * kCount + s);
    }
  }
}

// Few tokens, tiled: of kTilesAtOnce tiles, as many streams, the rows one after the other; their sums wait in the
// first-level cache.
constexpr int kTilesAtOnce = 8;

template <typename P, int Tiles, int Tokens>
HWY_INLINE void add_tiles(const Matmul& job, std::uint32_t first, const typename P::Weight* w, std::uint32_t rows,
                          V (*sums)[Tokens]) {
  const Matrix& m = *job.weights;
  const auto* x = P::inputs_of(job);
  const std::size_t x_stride = P::input_stride(job);
  for (std::uint32_t row = 0; row < rows; ++row, w += m.row_stride) {
    V held[1][Tokens];
    for (int t = 0; t < Tokens; ++t) held[0][t] = sums[row][t];
    for (std::uint32_t tile = first; tile < first + Tiles; ++tile) {
      add_tile<P>(w + tile * m.tile_stride, 0, x + tile * kTile, x_stride, held);
    }
    for (int t = 0; t < Tokens; ++t) sums[row][t] = held[0][t];
  }
}

constexpr std::uint32_t kStored = 8;  // sums that become outputs at once
template <int Tokens>
constexpr std::uint32_t kTileRows = Tokens == 1 ? kStreamedRows : kStreamedRows / 2;

// `rows` is a multiple of kStored, at most kTileRows.
template <typename P, int Tokens>
HWY_NOINLINE void stream_tiles(const Matmul& job, std::uint32_t output, std::uint32_t rows) {
  const D d;
  const auto* w = row_of<P>(*job.weights, output);
  V sums[kTileRows<Tokens>][Tokens];
  for (std::uint32_t row = 0; row < rows; ++row) {
    for (V& sum : sums[row]) sum = hn::Zero(d);
  }
  const std::uint32_t tiles = (job.inputs + kTile - 1) / kTile;
  std::uint32_t tile = 0;
  for (; tile + kTilesAtOnce <= tiles; tile += kTilesAtOnce) add_tiles<P, kTilesAtOnce>(job, tile, w, rows, sums);
  for (; tile < tiles; ++tile) add_tiles<P, 1>(job, tile, w, rows, sums);
  for (std::uint32_t row = 0; row < rows; row += kStored) {
    V some[kStored][Tokens];
    for (std::uint32_t r = 0; r < kStored; ++r) {
      for (int t = 0; t < Tokens; ++t) some[r][t] = sums[row + r][t];
    }
    store_outputs(job, output + row, 0, some);
  }
}

// All of the job's tokens; returns the first output that is left.
template <typename P, int Tokens>
std::uint32_t stream(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  if (!job.weights->tiled) {
    const std::uint32_t rows = (end - begin) / kStreams<Tokens>;
    stream_rows<P, Tokens>(job, begin, rows);
    return begin + kStreams<Tokens> * rows;
  }
  while (end - begin >= kStored) {
    const std::uint32_t rows = std::min(kTileRows<Tokens>, (end - begin) / kStored * kStored);
    stream_tiles<P, Tokens>(job, begin, rows);
    begin += rows;
  }
  return begin;
}

template <typename P, int Tokens>
void matmul_tokens(const Matmul& job, std::uint32_t begin, std::uint32_t end, std::uint32_t token) {
  constexpr std::uint32_t kRows = Tokens == 1 ? 8 : kBlockRows;
  std::uint32_t output = job.tokens == Tokens ? stream<P, Tokens>(job, begin, end) : begin;
  for (; output + kRows <= end; output += kRows) matmul_block<P, kRows, Tokens>(job, output, token);
  for (; output + kBlockRows <= end; output += kBlockRows) matmul_block<P, kBlockRows, Tokens>(job, output, token);
  for (; output < end; ++output) matmul_block<P, 1, Tokens>(job, output, token);
}

// Many tokens and more inputs than the first-level cache holds for them: the weights of kGroupRows rows are laid out
// once as they are multiplied, in that order, kBlockRows rows' vectors in turn (as they lie in the file, a power of two
// of bytes apart, rows share a few of the caches' sets). A stretch of their inputs stays in the second-level cache
// while kGroupBlocks blocks of tokens pass, whose inputs of that stretch stay in the first; sums wait in memory between
// stretches.
constexpr std::uint32_t kGroupRows = kGroupedRows, kGroupBlocks = 8;
template <typename P>
constexpr std::size_t kStretch = kUngroupedInputs * sizeof(float) / sizeof(typename P::Input);

// Zeros after the last input: a row that is not tiled has another row's weights there.
template <typename P>
HWY_INLINE V load_laid_out(const Matmul& job, const typename P::Weight* row, std::size_t i) {
  const auto* at = row + i / kTile * job.weights->tile_stride + i % kTile;
  if (job.weights->tiled || i + P::values() <= job.inputs) return P::weights(at);
  using Copy = typename P::Copy;
  alignas(64) typename Copy::Weight last[kTile] = {};
  for (std::size_t j = 0; i + j < job.inputs; ++j) last[j] = P::copy(at[j]);
  return Copy::weights(last);
}

// [stretch][block of rows][vector of inputs][row]
template <typename P>
void lay_out(const Matmul& job, std::uint32_t output, std::size_t inputs, float* to) {
  const D d;
  const std::size_t row_stride = job.weights->row_stride;
  const auto* rows = row_of<P>(*job.weights, output);
  for (std::size_t first = 0; first < inputs; first += kStretch<P>) {
    const std::size_t last = std::min(inputs, first + kStretch<P>);
    for (std::uint32_t block = 0; block < kGroupRows; block += kBlockRows) {
      for (std::size_t i = first; i < last; i += P::values()) {
        for (int r = 0; r < kBlockRows; ++r, to += hn::Lanes(d))
          hn::Store(load_laid_out<P>(job, rows + (block + r) * row_stride, i), d, to);
      }
    }
  }
}

using Block = V[kBlockRows][kBlockTokens];

// The sums of kGroupRows rows and kBlockTokens tokens.
struct GroupSums {
  alignas(64) float of[kGroupRows / kBlockRows][kBlockRows * kBlockTokens * hn::MaxLanes(D())];
};

HWY_INLINE void load_sums(const float* from, Block& sums) {
  const D d;
  for (int r = 0; r < kBlockRows; ++r) {
    for (int t = 0; t < kBlockTokens; ++t) sums[r][t] = hn::Load(d, from + (r * kBlockTokens + t) * hn::Lanes(d));
  }
}

HWY_INLINE void store_sums(const Block& sums, float* to) {
  const D d;
  for (int r = 0; r < kBlockRows; ++r) {
    for (int t = 0; t < kBlockTokens; ++t) hn::Store(sums[r][t], d, to + (r * kBlockTokens + t) * hn::Lanes(d));
  }
}

// Adds `count` inputs, whole tiles, of kBlockRows laid out rows.
template <typename P>
HWY_INLINE void add_laid_out(const float* w, const typename P::Input* x, std::size_t x_stride, std::size_t count,
                             Block& sums) {
  const D d;
  for (std::size_t i = 0; i < count; i += P::values(), w += kBlockRows * hn::Lanes(d)) {
    V weights[kBlockRows];
    for (int r = 0; r < kBlockRows; ++r) weights[r] = hn::Load(d, w + r * hn::Lanes(d));
    for (int t = 0; t < kBlockTokens; ++t) {
      V input = P::inputs(x + t * x_stride + i);
      hold(input);
      for (int r = 0; r < kBlockRows; ++r) sums[r][t] = P::add(sums[r][t], weights[r], input);
    }
  }
}

// The same stretch of the next tokens is fetched meanwhile.
template <typename P>
HWY_NOINLINE void add_stretch(const float* w, const typename P::Input* x, std::size_t x_stride, std::size_t count,
                              GroupSums& sums) {
  constexpr std::size_t kBlocks = kGroupRows / kBlockRows, kLine = 64 / sizeof(typename P::Input);
  const std::size_t lines = count / kLine, share = (lines * kBlockTokens + kBlocks - 1) / kBlocks;
  const std::size_t floats = count / P::values() * hn::Lanes(D());  // of a row, as laid out
  const auto* next = x + kBlockTokens * x_stride;
  std::size_t line = 0;
  for (auto& block : sums.of) {
    for (std::size_t i = 0; i < share; ++i) {
      __builtin_prefetch(next + line * kLine, 0, 3);
      if (++line == lines) line = 0, next += x_stride;
    }
    Block held;
    load_sums(block, held);
    add_laid_out<P>(w, x, x_stride, count, held);
    store_sums(held, block);
    w += floats * kBlockRows;
  }
}

// Where a block of tokens begins: the last one reaches back over tokens that are done already, as it costs less than
// fewer tokens at once.
HWY_INLINE std::uint32_t first_token(const Matmul& job, std::uint32_t block) {
  return std::min(block * kBlockTokens, job.tokens - kBlockTokens);
}

// The tokens of a block that no block before it has.
HWY_INLINE void store_block(const Matmul& job, std::uint32_t output, std::uint32_t block, const Block& sums) {
  alignas(64) float products[kBlockRows * kBlockTokens + hn::MaxLanes(D())];
  sum_rows(sums, products);
  const std::uint32_t first = first_token(job, block);
  for (std::uint32_t t = block * kBlockTokens - first; t < kBlockTokens; ++t)
    store_products<kBlockRows>(job, output, first + t, products + t * kBlockRows);
}

template <typename P>
HWY_NOINLINE void multiply_laid_out(const Matmul& job, std::uint32_t output, std::uint32_t block, std::uint32_t blocks,
                                    std::size_t inputs, const float* w) {
  GroupSums sums[kGroupBlocks];
  std::memset(sums, 0, blocks * sizeof(GroupSums));
  const auto* x = P::inputs_of(job);
  const std::size_t x_stride = P::input_stride(job);
  for (std::size_t first = 0; first < inputs; first += kStretch<P>) {
    const std::size_t count = std::min(kStretch<P>, inputs - first);
    for (std::uint32_t b = 0; b < blocks; ++b)
      add_stretch<P>(w, x + first_token(job, block + b) * x_stride + first, x_stride, count, sums[b]);
    w += count / P::values() * hn::Lanes(D()) * kGroupRows;
  }
  for (std::uint32_t b = 0; b < blocks; ++b) {
    for (std::uint32_t rows = 0; rows < kGroupRows / kBlockRows; ++rows) {
      Block held;
      load_sums(sums[b].of[rows], held);
      store_block(job, output + rows * kBlockRows, block + b, held);
    }
  }
}

// `w`: room for the group's weights.
template <typename P>
void matmul_group(const Matmul& job, std::uint32_t output, float* w) {
  const std::size_t inputs = padded(job.inputs);
  lay_out<P>(job, output, inputs, w);
  const std::uint32_t blocks = (job.tokens + kBlockTokens - 1) / kBlockTokens;
  for (std::uint32_t b = 0; b < blocks; b += kGroupBlocks) {
    multiply_laid_out<P>(job, output, b, std::min(kGroupBlocks, blocks - b), inputs, w);
  }
}

template <typename P>
void matmul_rows(const Matmul& job, std::uint32_t begin, std::uint32_t end, float* scratch) {
  if (groups_rows(job)) {
    for (; end - begin >= kGroupRows; begin += kGroupRows) matmul_group<P>(job, begin, scratch);
  }
  const std::uint32_t blocks = job.tokens / kBlockTokens, token = blocks * kBlockTokens;
  for (std::uint32_t b = 0; b < blocks; ++b) matmul_tokens<P, kBlockTokens>(job, begin, end, b * kBlockTokens);
  switch (job.tokens - token) {
    case 5:
      return matmul_tokens<P, 5>(job, begin, end, token);
    case 4:
      return matmul_tokens<P, 4>(job, begin, end, token);
    case 3:
      return matmul_tokens<P, 3>(job, begin, end, token);
    case 2:
      return matmul_tokens<P, 2>(job, begin, end, token);
    case 1:
      return matmul_tokens<P, 1>(job, begin, end, token);
    default:
      return;
  }
}
