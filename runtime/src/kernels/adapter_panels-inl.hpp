// The products of adapters' first matrices in Q8_0: the rule and the bits of panel_kernel-inl.hpp, on panels of fewer
// outputs. There are so few of them that the file's panels stay in a cache while all tokens pass. Included once per
// target after panel_kernel-inl.hpp.

constexpr std::size_t kAdapterSide = format::kAdapterPanelOutputs;
constexpr std::size_t kAdapterVectors = kAdapterSide / hn::MaxLanes(DI());  // of outputs, in a panel
using AdapterPanel = Q8PanelOf<kAdapterSide>;

// Tokens `token`.. of one column of panels.
template <int Tokens>
HWY_NOINLINE void multiply_adapter_panel(const Matmul& job, std::uint32_t output, std::uint32_t end,
                                         std::size_t token) {
  constexpr int kAtOnce = vectors_at_once(Tokens), kMost = static_cast<int>(kAdapterVectors),
                kStep = kAtOnce < kMost ? kAtOnce : kMost;
  const Matrix& m = *job.weights;
  const Inputs x = inputs_from(job, token);
  const std::size_t blocks = (job.inputs + kPanelSide - 1) / kPanelSide;
  const auto* data = reinterpret_cast<const std::uint8_t*>(m.data) + output / kAdapterSide * m.row_stride;
  VF sums[kAdapterVectors][Tokens];
  for (auto& vector : sums) {
    for (VF& sum : vector) sum = hn::Zero(DF());
  }
  for (std::size_t block = 0; block < blocks; ++block, data += m.tile_stride) {
    if (Tokens == 1 && !job.cached) fetch(data + kFetchAhead, m.panel_bytes());
    for (std::size_t v = 0; v < kAdapterVectors; v += kStep)
      add_block<kStep, Tokens>(AdapterPanel{data}, v, x, block, &sums[v]);
  }
  for (int t = 0; t < Tokens; ++t) {
    alignas(64) float row[kAdapterSide];
    for (std::size_t v = 0; v < kAdapterVectors; ++v) hn::Store(sums[v][t], DF(), row + v * lanes());
    store_outputs(job, token + t, output, end, row);
  }
}

void multiply_adapter(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  constexpr std::size_t kTokens = kRegisters == 32 ? 6 : 4;
  for (std::uint32_t output = begin; output < end; output += kAdapterSide) {
    const std::uint32_t last = std::min<std::uint32_t>(end, output + kAdapterSide);
    std::size_t t = 0;
    for (; t + kTokens <= job.tokens; t += kTokens) multiply_adapter_panel<kTokens>(job, output, last, t);
    for (; t + 2 <= job.tokens; t += 2) multiply_adapter_panel<2>(job, output, last, t);
    for (; t < job.tokens; ++t) multiply_adapter_panel<1>(job, output, last, t);
  }
}

void multiply(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  if (job.weights->panel_outputs == kAdapterSide) return multiply_adapter(job, begin, end);
  if (job.weights->type == TensorType::kQ8_0) return multiply_panels<Q8Panel>(job, begin, end);
  if (job.weights->type == TensorType::kIq4Nl) return multiply_panels<Iq4Panel>(job, begin, end);
  multiply_panels<Q4Panel>(job, begin, end);
}
