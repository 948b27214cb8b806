// Norms, activations and rotation. See kernels.hpp for the promise about the order of sums.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/kernels_vector.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>

#include "kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPadding>;
using V = hn::Vec<D>;

HWY_INLINE float dot(const float* a, const float* b, std::size_t count) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  V sum = hn::Zero(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < count; ++i) total += a[i] * b[i];
  return total;
}

void RmsNorm(const float* x, const float* weight, float epsilon, std::size_t count, float* out) {
  const float mean = dot(x, x, count) / static_cast<float>(count);
  const float factor = 1.0f / std::sqrt(mean + epsilon);
  for (std::size_t i = 0; i < count; ++i) out[i] = x[i] * factor * weight[i];
}

// gate = gate / (1 + exp(-slope(gate))) * up.
template <typename Slope>
HWY_INLINE void gate_multiply(float* gate, const float* up, std::size_t count, Slope&& slope) {
  const D d;
  const V one = hn::Set(d, 1.0f), highest = hn::Set(d, 88.0f);  // Exp is garbage, not infinite, beyond 104
  for (std::size_t i = 0; i < count; i += hn::Lanes(d)) {
    const V g = hn::LoadU(d, gate + i);
    const V opened = hn::Div(g, hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(slope(g)), highest))));
    hn::StoreU(hn::Mul(opened, hn::LoadU(d, up + i)), d, gate + i);
  }
}

void SiluMultiply(float* gate, const float* up, std::size_t count) {
  gate_multiply(gate, up, count, [](V g) { return g; });
}

// (1 + tanh(a)) / 2 = 1 / (1 + exp(-2 a)), a = sqrt(2 / pi) (g + 0.044715 g^3).
void GeluMultiply(float* gate, const float* up, std::size_t count) {
  const D d;
  const V first = hn::Set(d, 1.5957691216057308f), third = hn::Set(d, 0.07135481627159651f);
  gate_multiply(gate, up, count, [&](V g) { return hn::Mul(g, hn::MulAdd(third, hn::Mul(g, g), first)); });
}

void Relu(float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = x[i] < 0 ? 0 : x[i];  // NaN stays, so that it is seen
}

// GELU is x times the normal distribution's P(x): max(x, 0) - |x| Q(|x|), whose tail Q is Abramowitz &
// Stegun's 26.2.17, good to 7.5e-8: exp(-x^2 / 2) / sqrt(2 pi) times a polynomial in t = 1 / (1 + 0.2316419 |x|).
HWY_INLINE V gelu_of(V x) {
  constexpr float kDensity = 0.3989422804014327f;  // 1 / sqrt(2 pi)
  constexpr float kTail[] = {0.319381530f * kDensity, -0.356563782f * kDensity, 1.781477937f * kDensity,
                             -1.821255978f * kDensity, 1.330274429f * kDensity};
  const D d;
  const V size = hn::Abs(x), one = hn::Set(d, 1.0f);
  const V t = hn::Div(one, hn::MulAdd(hn::Set(d, 0.2316419f), size, one));
  V tail = hn::Set(d, kTail[4]);
  for (int i = 3; i >= 0; --i) tail = hn::MulAdd(tail, t, hn::Set(d, kTail[i]));
  const V highest = hn::Set(d, 88.0f);  // Exp is garbage, not zero, far below
  const V density = hn::Exp(d, hn::Neg(hn::Min(hn::Mul(hn::Mul(size, size), hn::Set(d, 0.5f)), highest)));
  return hn::NegMulAdd(hn::Mul(size, density), hn::Mul(tail, t), hn::Max(x, hn::Zero(d)));  // NaN stays: in `size`
}

void Gelu(float* x, std::size_t count) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(gelu_of(hn::LoadU(d, x + i)), d, x + i);
  float last[kPadding] = {};
  std::copy(x + i, x + count, last);
  hn::StoreU(gelu_of(hn::LoadU(d, last)), d, last);
  std::copy(last, last + (count - i), x + i);
}

void ScaleShift(float* x, const float* weight, const float* bias, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = x[i] * weight[i] + bias[i];
}

// The sums of Rows rows hide the latency of each other's additions.
template <int Rows>
HWY_INLINE void layer_norm_rows(float* x, std::size_t stride, const float* weight, const float* bias, float epsilon,
                                std::size_t count) {
  const D d;
  const std::size_t lanes = hn::Lanes(d), whole = count / lanes * lanes;
  const float share = 1.0f / static_cast<float>(count);
  V sums[Rows], squares[Rows];
  for (int r = 0; r < Rows; ++r) sums[r] = squares[r] = hn::Zero(d);
  for (std::size_t i = 0; i < whole; i += lanes) {
    for (int r = 0; r < Rows; ++r) sums[r] = hn::Add(sums[r], hn::LoadU(d, x + r * stride + i));
  }
  float means[Rows], factors[Rows];
  for (int r = 0; r < Rows; ++r) {
    float sum = hn::GetLane(hn::SumOfLanes(d, sums[r]));
    for (std::size_t i = whole; i < count; ++i) sum += x[r * stride + i];
    means[r] = sum * share;
  }
  for (std::size_t i = 0; i < whole; i += lanes) {
    for (int r = 0; r < Rows; ++r) {
      const V centred = hn::Sub(hn::LoadU(d, x + r * stride + i), hn::Set(d, means[r]));
      squares[r] = hn::MulAdd(centred, centred, squares[r]);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    float sum = hn::GetLane(hn::SumOfLanes(d, squares[r]));
    for (std::size_t i = whole; i < count; ++i) sum += (x[r * stride + i] - means[r]) * (x[r * stride + i] - means[r]);
    factors[r] = 1.0f / std::sqrt(sum * share + epsilon);
  }
  for (int r = 0; r < Rows; ++r) {
    float* row = x + r * stride;
    for (std::size_t i = 0; i < count; ++i) row[i] = (row[i] - means[r]) * factors[r] * weight[i] + bias[i];
  }
}

void LayerNorm(float* x, std::size_t stride, std::size_t rows, const float* weight, const float* bias, float epsilon,
               std::size_t count) {
  constexpr int kAtOnce = 4;
  for (; rows >= kAtOnce; rows -= kAtOnce, x += kAtOnce * stride)
    layer_norm_rows<kAtOnce>(x, stride, weight, bias, epsilon, count);
  for (; rows > 0; --rows, x += stride) layer_norm_rows<1>(x, stride, weight, bias, epsilon, count);
}

void RotateHalves(float* head, const float* cosines, const float* sines, std::size_t half) {
  for (std::size_t i = 0; i < half; ++i) {
    const float a = head[i], b = head[i + half];
    head[i] = a * cosines[i] - b * sines[i];
    head[i + half] = b * cosines[i] + a * sines[i];
  }
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(RmsNorm);
HWY_EXPORT(SiluMultiply);
HWY_EXPORT(GeluMultiply);
HWY_EXPORT(Relu);
HWY_EXPORT(Gelu);
HWY_EXPORT(ScaleShift);
HWY_EXPORT(LayerNorm);
HWY_EXPORT(RotateHalves);
HWY_EXPORT(TargetName);

void rms_norm(const float* x, const float* weight, float epsilon, std::size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(RmsNorm)(x, weight, epsilon, count, out);
}
void silu_multiply(float* gate, const float* up, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(SiluMultiply)(gate, up, count);
}
void gelu_multiply(float* gate, const float* up, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(GeluMultiply)(gate, up, count);
}
void relu(float* x, std::size_t count) { HWY_DYNAMIC_DISPATCH(Relu)(x, count); }
void gelu(float* x, std::size_t count) { HWY_DYNAMIC_DISPATCH(Gelu)(x, count); }
void scale_shift(float* x, const float* weight, const float* bias, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(ScaleShift)(x, weight, bias, count);
}
void layer_norm(float* x, std::size_t stride, std::size_t rows, const float* weight, const float* bias, float epsilon,
                std::size_t count) {
  HWY_DYNAMIC_DISPATCH(LayerNorm)(x, stride, rows, weight, bias, epsilon, count);
}
void rotate_halves(float* head, const float* cosines, const float* sines, std::size_t half) {
  HWY_DYNAMIC_DISPATCH(RotateHalves)(head, cosines, sines, half);
}
const char* target_name() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }
}  // namespace elrt::kernels
#endif
