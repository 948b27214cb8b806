// The products of quantised matrices. Included once per target after panel_weights-inl.hpp.
//
// Every output is one float32 sum over its blocks in ascending order,
//   sum = fma(float(integer sum of the block), weight scale * activation scale, sum),
// with exact integer sums; no lane meets another. So an output's bits depend neither on the batch nor on the threads,
// nor, where multiply-add is fused, on the instruction set. Few tokens read the file's panels as they stream by; many
// share panels that were unpacked once.

constexpr std::size_t kPanelSide = format::kPanelOutputs;
constexpr std::size_t kSideBySide = kStreamedPanels;
constexpr std::size_t kVectors = kPanelSide / hn::MaxLanes(DI());  // of outputs, in a panel
#if HWY_TARGET <= HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

// The activations of consecutive tokens.
struct Inputs {
  const std::int8_t* values;
  const BlockFactors* factors;
  std::size_t value_stride, factor_stride;

  HWY_INLINE VI group(std::size_t token, std::size_t block, std::size_t group) const {
    std::int32_t bytes;
    std::memcpy(&bytes, values + token * value_stride + block * kPanelSide + group * 4, sizeof(bytes));
    return hn::Set(DI(), bytes);
  }
  HWY_INLINE const BlockFactors& of(std::size_t token, std::size_t block) const {
    return factors[token * factor_stride + block];
  }
};

// In a register from here on, where the compiler would load it as late as it is used.
HWY_INLINE VF loaded_now(VF value) {
#if HWY_COMPILER_GCC_ACTUAL && HWY_ARCH_X86
  asm volatile("" : "+v"(value.raw));
#endif
  return value;
}

// Adds one block to Vectors x Tokens sums; `vector` is the first of the panel's vectors. One token waits for the memory
// alone: its weights are read in the order in which they lie, the scales first, which is what prefetchers follow.
template <int Vectors, int Tokens, typename Weights>
HWY_INLINE void add_block(const Weights weights, std::size_t vector, const Inputs& x, std::size_t block,
                          VF (*sums)[Tokens]) {
  using Dot = typename Weights::Dot;
  constexpr bool kScalesFirst = Tokens == 1;
  VF scales[Vectors];
  for (int v = 0; kScalesFirst && v < Vectors; ++v) scales[v] = loaded_now(weights.scales(vector + v));
  typename Dot::Sum dots[Vectors][Tokens];
  for (int t = 0; t < Tokens; ++t) {
    const VI start = hn::Set(DI(), Weights::start(x.of(t, block)));
    for (int v = 0; v < Vectors; ++v) dots[v][t] = Dot::begin(start);
  }
  for (std::size_t group = 0; group < 4; ++group) {
    VI w[Vectors][2];
    for (int v = 0; v < Vectors; ++v) weights.load(vector + v, group, w[v]);
    for (int t = 0; t < Tokens; ++t) {
      for (int half = 0; half < 2; ++half) {
        const VI inputs = x.group(t, block, Weights::group_of(group, half));
        for (int v = 0; v < Vectors; ++v) dots[v][t] = Dot::add(dots[v][t], w[v][half], inputs);
      }
    }
  }
  for (int v = 0; v < Vectors; ++v) {
    if (!kScalesFirst) scales[v] = weights.scales(vector + v);
    for (int t = 0; t < Tokens; ++t) {
      const VI sum = Dot::end(dots[v][t], hn::Set(DI(), Weights::start(x.of(t, block))));
      const VF factor = hn::Mul(scales[v], hn::Set(DF(), x.of(t, block).scale));
      sums[v][t] = hn::MulAdd(hn::ConvertTo(DF(), sum), factor, sums[v][t]);
    }
  }
}

// y of one panel and one token from its 32 sums; rows beyond `end` are dropped.
HWY_INLINE void store_outputs(const Matmul& job, std::size_t token, std::uint32_t output, std::uint32_t end,
                              const float* sums) {
  const std::uint32_t count = std::min<std::uint32_t>(kPanelSide, end - output);
  float* y = job.y + token * job.y_stride + output;
  for (std::uint32_t i = 0; i < count; ++i) {
    const float product = job.scale * sums[i];
    const float biased = job.bias == nullptr ? product : product + job.bias[output + i];
    y[i] = job.accumulate ? y[i] + biased : biased;
  }
}

HWY_INLINE const std::uint8_t* panel_at(const Matrix& m, std::size_t block, std::uint32_t output) {
  return reinterpret_cast<const std::uint8_t*>(m.data) + block * m.tile_stride + output / kPanelSide * m.row_stride;
}

HWY_INLINE Inputs inputs_from(const Matmul& job, std::size_t token) {
  return {job.quantised->row(token), job.quantised->row_factors(token), job.quantised->value_stride,
          job.quantised->block_stride};
}

// As many vectors at once as registers hold with their sums.
constexpr int vectors_at_once(int tokens) {
  const int room = kRegisters == 32 ? 12 : 8;
  int vectors = 1;
  while (vectors * 2 <= static_cast<int>(kVectors) && vectors * 2 * tokens <= room) vectors *= 2;
  return vectors;
}

// What is fetched while a panel is multiplied: its like in the next block of a tiled matrix, or what follows the panel.
// Left alone, the hardware fetches no further than a page and stops where a tiled matrix's stretch ends. Decoding from
// memory is up to a quarter faster with it, from the last-level cache a tenth slower.
constexpr std::size_t kFetchAhead = 2048;

// Few tokens, weights straight from the file. `panels` panels, `apart` panels from one to the next, pass block by
// block: those side by side in the order of a tiled matrix's bytes, those far apart as so many streams.
template <int Tokens, typename File>
HWY_NOINLINE void stream_panels(const Matmul& job, std::uint32_t output, std::uint32_t end, std::size_t panels,
                                std::size_t apart) {
  constexpr int kStep = vectors_at_once(Tokens);
  const Matrix& m = *job.weights;
  const Inputs x = inputs_from(job, 0);
  const std::size_t blocks = (job.inputs + kPanelSide - 1) / kPanelSide, bytes = m.panel_bytes();
  const std::size_t ahead = m.tiled ? m.tile_stride : kFetchAhead;
  VF sums[kSideBySide][kVectors][Tokens];
  for (std::size_t p = 0; p < panels; ++p) {
    for (auto& vector : sums[p]) {
      for (VF& sum : vector) sum = hn::Zero(DF());
    }
  }
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::uint8_t* data = panel_at(m, block, output);
    for (std::size_t p = 0; p < panels; ++p, data += apart * m.row_stride) {
      if (!job.cached) fetch(data + ahead, bytes);
      for (std::size_t v = 0; v < kVectors; v += kStep) add_block<kStep, Tokens>(File{data}, v, x, block, &sums[p][v]);
    }
  }
  for (std::size_t p = 0; p < panels; ++p) {
    for (int t = 0; t < Tokens; ++t) {
      alignas(64) float row[kPanelSide];
      for (std::size_t v = 0; v < kVectors; ++v) hn::Store(sums[p][v][t], DF(), row + v * lanes());
      store_outputs(job, t, output + p * apart * kPanelSide, end, row);
    }
  }
}

// A matrix of whole rows is read in so many streams, each of panels whose bytes follow each other (kernels_matmul.cpp
// says why).
constexpr std::size_t kPanelStreams = 2;

template <int Tokens, typename File>
void stream_tokens(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  if (!job.weights->tiled) {
    const std::uint32_t apart = (end - begin) / kPanelSide / kPanelStreams;
    for (std::uint32_t p = 0; p < apart; ++p, begin += kPanelSide)
      stream_panels<Tokens, File>(job, begin, end, kPanelStreams, apart);
    begin += apart * (kPanelStreams - 1) * kPanelSide;
  }
  for (std::uint32_t output = begin; output < end;) {
    const std::size_t most = job.weights->tiled ? kSideBySide : 1;
    const std::size_t panels = std::min<std::size_t>(most, (end - output + kPanelSide - 1) / kPanelSide);
    stream_panels<Tokens, File>(job, output, end, panels, 1);
    output += panels * kPanelSide;
  }
}

// Many tokens. A stretch of blocks of one panel, unpacked, stays in the first-level cache while a strip of tokens
// passes; the strip's sums wait in memory between stretches.
constexpr std::size_t kStretchBlocks = 8;
constexpr std::size_t kStripTokens = 128;

template <typename File>
struct Strip {
  typename PreparedPanel<File>::Storage panels[kStretchBlocks];
  alignas(64) float sums[kStripTokens][kPanelSide];
};

// Blocks first.. of the stretch, for Tokens tokens of the strip.
template <int Tokens, typename File>
HWY_INLINE void add_stretch(Strip<File>& strip, std::size_t token, const Inputs& x, std::size_t first,
                            std::size_t blocks) {
  constexpr int kStep = vectors_at_once(Tokens);
  for (std::size_t vector = 0; vector < kVectors; vector += kStep) {
    VF sums[kStep][Tokens];
    for (int v = 0; v < kStep; ++v) {
      for (int t = 0; t < Tokens; ++t) sums[v][t] = hn::Load(DF(), strip.sums[token + t] + (vector + v) * lanes());
    }
    for (std::size_t b = 0; b < blocks; ++b) {
      add_block<kStep, Tokens>(PreparedPanel<File>{&strip.panels[b]}, vector, x, first + b, sums);
    }
    for (int v = 0; v < kStep; ++v) {
      for (int t = 0; t < Tokens; ++t) hn::Store(sums[v][t], DF(), strip.sums[token + t] + (vector + v) * lanes());
    }
  }
}

template <typename File>
HWY_NOINLINE void add_stretch_to_strip(const Matmul& job, Strip<File>& strip, std::size_t token, std::size_t tokens,
                                       std::size_t first, std::size_t blocks) {
  constexpr int kTokens = kRegisters == 32 ? 6 : 4;
  std::size_t t = 0;
  for (; t + kTokens <= tokens; t += kTokens)
    add_stretch<kTokens>(strip, t, inputs_from(job, token + t), first, blocks);
  for (; t + 2 <= tokens; t += 2) add_stretch<2>(strip, t, inputs_from(job, token + t), first, blocks);
  for (; t < tokens; ++t) add_stretch<1>(strip, t, inputs_from(job, token + t), first, blocks);
}

template <typename File>
HWY_NOINLINE void multiply_strip(const Matmul& job, std::uint32_t output, std::uint32_t end, std::size_t token) {
  Strip<File> strip;
  const std::size_t tokens = std::min<std::size_t>(kStripTokens, job.tokens - token);
  const std::size_t blocks = (job.inputs + kPanelSide - 1) / kPanelSide;
  for (std::size_t t = 0; t < tokens; ++t) std::fill_n(strip.sums[t], kPanelSide, 0.0f);
  for (std::size_t first = 0; first < blocks; first += kStretchBlocks) {
    const std::size_t count = std::min(kStretchBlocks, blocks - first);
    for (std::size_t b = 0; b < count; ++b) prepare(File{panel_at(*job.weights, first + b, output)}, strip.panels[b]);
    add_stretch_to_strip(job, strip, token, tokens, first, count);
  }
  for (std::size_t t = 0; t < tokens; ++t) store_outputs(job, token + t, output, end, strip.sums[t]);
}

template <typename File>
void multiply_panels(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  switch (job.tokens) {
    case 0:
      return;
    case 1:
      return stream_tokens<1, File>(job, begin, end);
    case 2:
      return stream_tokens<2, File>(job, begin, end);
    case 3:
      return stream_tokens<3, File>(job, begin, end);
    case 4:
      return stream_tokens<4, File>(job, begin, end);
    case 5:
      return stream_tokens<5, File>(job, begin, end);
    case 6:
      return stream_tokens<6, File>(job, begin, end);
    default:
      break;
  }
  for (std::uint32_t output = begin; output < end; output += kPanelSide) {
    for (std::size_t token = 0; token < job.tokens; token += kStripTokens)
      multiply_strip<File>(job, output, end, token);
  }
}
