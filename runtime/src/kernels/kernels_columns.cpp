// Products with matrices in columns (format.h, LAYOUT): outputs lie side by side in a vector, so that nothing is summed
// across lanes and short inputs cost no more than long ones. An output is one sum over ascending inputs, whatever
// stands next to it.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/kernels_columns.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/half.hpp"
#include "kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPadding>;
using V = hn::Vec<D>;
using Narrow =
    hn::CappedTag<float, 8>;  // of few outputs, as an attention head's: a wider vector's other half would be idle

constexpr std::uint32_t kColumns = format::kColumnOutputs;
// Sums in registers: kVectors x kTokens of them, of 32 registers or 16.
#if HWY_MAX_BYTES == 64
constexpr int kVectors = 2, kTokens = 12;
#elif HWY_ARCH_ARM_A64
constexpr int kVectors = 4, kTokens = 6;
#else
constexpr int kVectors = 2, kTokens = 6;
#endif

// An input's weights in F32 or F16, from some column on.
template <typename Tag, typename W>
struct FloatRow {
  const W* weights;

  HWY_INLINE hn::Vec<Tag> load(std::size_t column) const { return load_from(weights + column); }

 private:
  static HWY_INLINE hn::Vec<Tag> load_from(const float* w) { return hn::LoadU(Tag(), w); }
  static HWY_INLINE hn::Vec<Tag> load_from(const hwy::float16_t* w) {
    return hn::PromoteTo(Tag(), hn::LoadU(hn::Rebind<hwy::float16_t, Tag>(), w));
  }
};

// The same in Q8_0. A float16 scale times a byte is exact in float32: the bits are those of equal weights in F32.
template <typename Tag>
struct ByteRow {
  const std::int8_t* weights;
  hn::Vec<Tag> scale;

  HWY_INLINE hn::Vec<Tag> load(std::size_t column) const {
    const auto bytes = hn::LoadU(hn::Rebind<std::int8_t, Tag>(), weights + column);
    return hn::Mul(hn::ConvertTo(Tag(), hn::PromoteTo(hn::RebindToSigned<Tag>(), bytes)), scale);
  }
};

// Where a panel's weights are taken from, input by input.
template <typename W>
struct FloatColumns {
  const W* at;

  HWY_INLINE void skip(std::size_t columns) { at += columns; }
  HWY_INLINE void next_input(std::size_t columns) { at += columns; }
  template <typename Tag>
  HWY_INLINE FloatRow<Tag, W> row(Tag) const {
    return {at};
  }
};

struct ByteColumns {
  const std::uint8_t* block;
  std::size_t column = 0;

  HWY_INLINE void skip(std::size_t columns) { column += columns; }
  HWY_INLINE void next_input(std::size_t) { block += format::kQ8ColumnBytes; }
  template <typename Tag>
  HWY_INLINE ByteRow<Tag> row(Tag d) const {
    return {reinterpret_cast<const std::int8_t*>(block + 2) + column, hn::Set(d, scale())};
  }

 private:
  HWY_INLINE float scale() const {
    std::uint16_t bits;
    std::memcpy(&bits, block, sizeof(bits));
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
    return _cvtsh_ss(bits);
#else
    return float_from_half(bits);
#endif
  }
};

// What products of one matrix share.
struct Shape {
  std::size_t columns;  // from one input's weights to the next's
  std::size_t inputs, x_stride, y_stride;
  bool accumulate;
};

// Vectors x Tokens outputs. The pointers are those of the first, apart from the shape: they change from call to call
// and are passed in registers.
template <typename Tag, int Vectors, int Tokens, typename Columns>
HWY_NOINLINE void multiply(const Shape& s, Columns weights, const float* x, float* y, const float* bias) {
  using Vector = hn::Vec<Tag>;
  const Tag d;
  const std::size_t lanes = hn::Lanes(d);
  Vector sums[Tokens][Vectors];
  for (auto& row : sums) {
    for (Vector& sum : row) sum = hn::Zero(d);
  }
  for (std::size_t i = 0; i < s.inputs; ++i, weights.next_input(s.columns)) {
    Vector w[Vectors];
    const auto row = weights.row(d);
    for (int v = 0; v < Vectors; ++v) w[v] = row.load(v * lanes);
    for (int t = 0; t < Tokens; ++t) {
      const Vector input = hn::Set(d, x[t * s.x_stride + i]);
      for (int v = 0; v < Vectors; ++v) sums[t][v] = hn::MulAdd(input, w[v], sums[t][v]);
    }
  }
  for (int t = 0; t < Tokens; ++t, y += s.y_stride) {
    for (int v = 0; v < Vectors; ++v) {
      Vector sum = sums[t][v];
      if (s.accumulate) sum = hn::Add(hn::LoadU(d, y + v * lanes), sum);
      if (bias != nullptr) sum = hn::Add(sum, hn::LoadU(d, bias + v * lanes));
      hn::StoreU(sum, d, y + v * lanes);
    }
  }
}

template <typename Tag, int Vectors, typename Columns>
HWY_INLINE void multiply_tokens(const Shape& s, Columns weights, const float* x, float* y, const float* bias,
                                std::uint32_t tokens) {
  const auto take = [&](auto count) {
    constexpr int kCount = decltype(count)::value;
    for (; tokens >= kCount; tokens -= kCount) {
      multiply<Tag, Vectors, kCount>(s, weights, x, y, bias);
      x += kCount * s.x_stride;
      y += kCount * s.y_stride;
    }
  };
  if constexpr (Vectors == 1) take(std::integral_constant<int, 2 * kTokens>());
  take(std::integral_constant<int, kTokens>());
  take(std::integral_constant<int, kTokens / 2>());
  take(std::integral_constant<int, kTokens / 3>());
  take(std::integral_constant<int, 1>());
}

// `outputs` of a panel, whole narrow vectors.
template <typename Columns>
HWY_INLINE void multiply_panel(const Shape& s, Columns weights, const float* x, float* y, const float* bias,
                               std::size_t outputs, std::uint32_t tokens) {
  const std::size_t lanes = hn::Lanes(D());
  const auto next = [&](std::size_t by) {
    weights.skip(by);
    y += by;
    if (bias != nullptr) bias += by;
    outputs -= by;
  };
  while (outputs >= kVectors * lanes) {
    multiply_tokens<D, kVectors>(s, weights, x, y, bias, tokens);
    next(kVectors * lanes);
  }
  while (outputs >= lanes) {
    multiply_tokens<D, 1>(s, weights, x, y, bias, tokens);
    next(lanes);
  }
  while (outputs > 0) {
    multiply_tokens<Narrow, 1>(s, weights, x, y, bias, tokens);
    next(hn::Lanes(Narrow()));
  }
}

// The last outputs of a matrix fill no vector: whole ones are computed aside, since what lies after y and the bias is
// not the matrix's.
template <typename Columns>
void multiply_rest(const Shape& s, Columns weights, const float* x, float* y, const float* bias, std::size_t outputs,
                   std::uint32_t tokens) {
  constexpr std::uint32_t kAside = kTokens;
  alignas(64) float aside[kAside * kColumns], bias_aside[kColumns] = {};
  if (bias != nullptr) std::copy_n(bias, outputs, bias_aside);
  Shape shape = s;
  shape.y_stride = kColumns;
  const std::size_t lanes = hn::Lanes(Narrow()), whole = (outputs + lanes - 1) / lanes * lanes;
  for (std::uint32_t done = 0; done < tokens; done += kAside) {
    const std::uint32_t count = std::min(kAside, tokens - done);
    float* rows = y + done * s.y_stride;
    std::fill_n(aside, kAside * kColumns, 0.0f);
    for (std::uint32_t t = 0; s.accumulate && t < count; ++t)
      std::copy_n(rows + t * s.y_stride, outputs, aside + t * kColumns);
    multiply_panel(shape, weights, x + done * s.x_stride, aside, bias == nullptr ? nullptr : bias_aside, whole, count);
    for (std::uint32_t t = 0; t < count; ++t) std::copy_n(aside + t * kColumns, outputs, rows + t * s.y_stride);
  }
}

// panel_at(index) gives the weights of 32 outputs.
template <typename PanelAt>
HWY_INLINE void multiply_range(const ColumnProduct& job, std::uint32_t begin, std::uint32_t end,
                               const PanelAt& panel_at) {
  const Shape shape{job.columns, job.inputs, job.x_stride, job.y_stride, job.accumulate};
  const std::size_t lanes = hn::Lanes(Narrow());
  for (std::uint32_t output = begin; output < end;) {
    const std::uint32_t outputs = std::min(kColumns - output % kColumns, end - output);
    const std::size_t whole = outputs / lanes * lanes;
    auto weights = panel_at(output / kColumns);
    weights.skip(output % kColumns);
    float* y = job.y + output;
    const float* bias = job.bias == nullptr ? nullptr : job.bias + output;
    multiply_panel(shape, weights, job.x, y, bias, whole, job.tokens);
    weights.skip(whole);
    if (whole < outputs)
      multiply_rest(shape, weights, job.x, y + whole, bias == nullptr ? nullptr : bias + whole, outputs - whole,
                    job.tokens);
    output += outputs;
  }
}

template <typename W>
void multiply_floats(const ColumnProduct& job, std::uint32_t begin, std::uint32_t end) {
  multiply_range(job, begin, end, [&](std::size_t panel) {
    return FloatColumns<W>{reinterpret_cast<const W*>(job.weights) + panel * job.inputs * kColumns};
  });
}

void MultiplyColumns(const ColumnProduct& job, std::uint32_t begin, std::uint32_t end) {
  if (job.type == TensorType::kF32) return multiply_floats<float>(job, begin, end);
  if (job.type == TensorType::kF16) return multiply_floats<hwy::float16_t>(job, begin, end);
  multiply_range(job, begin, end, [&](std::size_t panel) {
    return ByteColumns{reinterpret_cast<const std::uint8_t*>(job.weights) +
                       panel * job.inputs * format::kQ8ColumnBytes};
  });
}

#include "kernels/exponentials-inl.hpp"

float SoftmaxWeights(float* x, float scale, std::size_t count) { return 1.0f / exponentials(x, scale, count); }

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(MultiplyColumns);
HWY_EXPORT(SoftmaxWeights);

void multiply_columns(const ColumnProduct& job, std::uint32_t begin, std::uint32_t end) {
  HWY_DYNAMIC_DISPATCH(MultiplyColumns)(job, begin, end);
}
float softmax_weights(float* x, float scale, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxWeights)(x, scale, count);
}
}  // namespace elrt::kernels
#endif
