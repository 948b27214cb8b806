// Products with matrices in columns (format.h, LAYOUT): outputs lie side by side in a vector, so that nothing is summed across lanes and
// short inputs cost no more than long ones. An output is one sum over ascending inputs, whatever stands beside it.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels_columns.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPadding>;
using V = hn::Vec<D>;
using Narrow = hn::CappedTag<float, 8>;  // of few outputs, as an attention head's: a wider vector's other half would be idle

constexpr std::uint32_t kColumns = format::kColumnOutputs;
// Sums in registers: kVectors x kTokens of them, of 32 registers or 16.
#if HWY_MAX_BYTES == 64
constexpr int kVectors = 2, kTokens = 12;
#elif HWY_ARCH_ARM_A64
constexpr int kVectors = 4, kTokens = 6;
#else
constexpr int kVectors = 2, kTokens = 6;
#endif

template <typename Tag>
HWY_INLINE hn::Vec<Tag> load_weights(Tag d, const float* w) {
  return hn::LoadU(d, w);
}
template <typename Tag>
HWY_INLINE hn::Vec<Tag> load_weights(Tag d, const hwy::float16_t* w) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::float16_t, Tag>(), w));
}

// A strip of the outputs of one panel for some tokens.
template <typename W>
struct Strip {
  const W* weights;  // of input 0
  std::uint32_t columns;  // from one input to the next
  std::uint32_t inputs;
  const float* x;
  std::size_t x_stride;
  float* y;
  std::size_t y_stride;
  const float* bias;  // or none
  bool accumulate;
};

template <typename Tag, int Vectors, int Tokens, typename W>
HWY_NOINLINE void multiply(const Strip<W>& s) {
  using Vector = hn::Vec<Tag>;
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  Vector sums[Tokens][Vectors];
  for (auto& row : sums) {
    for (Vector& sum : row) sum = hn::Zero(d);
  }
  for (std::size_t i = 0; i < s.inputs; ++i) {
    Vector w[Vectors];
    for (int v = 0; v < Vectors; ++v) w[v] = load_weights(d, s.weights + i * s.columns + v * lanes);
    for (int t = 0; t < Tokens; ++t) {
      const Vector x = hn::Set(d, s.x[t * s.x_stride + i]);
      for (int v = 0; v < Vectors; ++v) sums[t][v] = hn::MulAdd(x, w[v], sums[t][v]);
    }
  }
  for (int t = 0; t < Tokens; ++t) {
    for (int v = 0; v < Vectors; ++v) {
      float* y = s.y + t * s.y_stride + v * lanes;
      Vector sum = sums[t][v];
      if (s.accumulate) sum = hn::Add(hn::LoadU(d, y), sum);
      if (s.bias != nullptr) sum = hn::Add(sum, hn::LoadU(d, s.bias + v * lanes));
      hn::StoreU(sum, d, y);
    }
  }
}

template <typename Tag, int Vectors, typename W>
void multiply_tokens(Strip<W> s, std::uint32_t tokens) {
  const auto take = [&](auto count) {
    constexpr int kCount = decltype(count)::value;
    for (; tokens >= kCount; tokens -= kCount) {
      multiply<Tag, Vectors, kCount>(s);
      s.x += kCount * s.x_stride;
      s.y += kCount * s.y_stride;
    }
  };
  if constexpr (Vectors == 1) take(std::integral_constant<int, 2 * kTokens>());
  take(std::integral_constant<int, kTokens>());
  take(std::integral_constant<int, kTokens / 2>());
  take(std::integral_constant<int, kTokens / 3>());
  take(std::integral_constant<int, 1>());
}

// `outputs` of a panel, whole narrow vectors.
template <typename W>
void multiply_panel(Strip<W> s, std::size_t outputs, std::uint32_t tokens) {
  const std::size_t lanes = hn::Lanes(D());
  const auto next = [&](std::size_t by) {
    s.weights += by;
    s.y += by;
    if (s.bias != nullptr) s.bias += by;
    outputs -= by;
  };
  for (; outputs >= kVectors * lanes; next(kVectors * lanes)) multiply_tokens<D, kVectors>(s, tokens);
  for (; outputs >= lanes; next(lanes)) multiply_tokens<D, 1>(s, tokens);
  for (; outputs > 0; next(hn::Lanes(Narrow()))) multiply_tokens<Narrow, 1>(s, tokens);
}

// The last outputs of a matrix fill no vector: whole ones are computed aside, since what lies behind y and the bias is not the matrix's.
template <typename W>
void multiply_rest(Strip<W> s, std::size_t outputs, std::uint32_t tokens) {
  constexpr std::uint32_t kAside = kTokens;
  alignas(64) float y[kAside * kColumns], bias[kColumns] = {};
  if (s.bias != nullptr) std::copy_n(s.bias, outputs, bias);
  const std::size_t lanes = hn::Lanes(Narrow());
  for (std::uint32_t done = 0; done < tokens; done += kAside) {
    const std::uint32_t count = std::min(kAside, tokens - done);
    Strip<W> part = s;
    part.x += done * s.x_stride;
    part.y = y;
    part.y_stride = kColumns;
    part.bias = s.bias != nullptr ? bias : nullptr;
    float* rows = s.y + done * s.y_stride;
    std::fill_n(y, kAside * kColumns, 0.0f);
    for (std::uint32_t t = 0; s.accumulate && t < count; ++t) std::copy_n(rows + t * s.y_stride, outputs, y + t * kColumns);
    multiply_panel(part, (outputs + lanes - 1) / lanes * lanes, count);
    for (std::uint32_t t = 0; t < count; ++t) std::copy_n(y + t * kColumns, outputs, rows + t * s.y_stride);
  }
}

template <typename W>
void multiply_columns(const ColumnProduct& job) {
  Strip<W> s{reinterpret_cast<const W*>(job.weights), job.columns, job.inputs, job.x, job.x_stride, job.y, job.y_stride, job.bias, job.accumulate};
  const std::size_t lanes = hn::Lanes(Narrow()), panel = std::size_t{job.inputs} * kColumns;
  for (std::uint32_t output = 0; output < job.outputs; output += kColumns) {
    const std::size_t outputs = std::min<std::size_t>(kColumns, job.outputs - output), whole = outputs / lanes * lanes;
    if (whole > 0) multiply_panel(s, whole, job.tokens);
    if (whole < outputs) {
      Strip<W> rest = s;
      rest.weights += whole;
      rest.y += whole;
      if (s.bias != nullptr) rest.bias += whole;
      multiply_rest(rest, outputs - whole, job.tokens);
    }
    s.weights += panel;
    s.y += kColumns;
    if (s.bias != nullptr) s.bias += kColumns;
  }
}

void MultiplyColumns(const ColumnProduct& job) {
  if (job.type == TensorType::kF32) return multiply_columns<float>(job);
  multiply_columns<hwy::float16_t>(job);
}

#include "exponentials-inl.hpp"

float SoftmaxWeights(float* x, float scale, std::size_t count) { return 1.0f / exponentials(x, scale, count); }

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(MultiplyColumns);
HWY_EXPORT(SoftmaxWeights);

void multiply_columns(const ColumnProduct& job) { HWY_DYNAMIC_DISPATCH(MultiplyColumns)(job); }
float softmax_weights(float* x, float scale, std::size_t count) { return HWY_DYNAMIC_DISPATCH(SoftmaxWeights)(x, scale, count); }
}  // namespace elrt::kernels
#endif
