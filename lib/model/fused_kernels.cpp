#include "model/fused_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/fused_kernels.cpp"
#include <hwy/foreach_target.h>  // compiles what follows once per target

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace elastify::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
#include "model/vector_loops-inl.h"

float RmsNorm(const float* x, const float* w, float eps, std::int64_t n, float* y) {
  const float squares = sum_over(n, [&](auto d, std::int64_t i) {
    const auto v = hn::LoadU(d, x + i);
    return hn::Mul(v, v);
  });
  const float r = 1 / std::sqrt(squares / static_cast<float>(n) + eps);
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] * r * w[i];
  return r;
}

void RmsNormBackward(const float* x, const float* w, const float* dy, float r, std::int64_t n, float* dx, float* dw) {
  const float dot = sum_over(n, [&](auto d, std::int64_t i) {
    return hn::Mul(hn::Mul(hn::LoadU(d, w + i), hn::LoadU(d, dy + i)), hn::LoadU(d, x + i));
  });
  const float pull = r * r * r * dot / static_cast<float>(n);
  for (std::int64_t i = 0; i < n; ++i) dx[i] = r * w[i] * dy[i] - pull * x[i];
  if (dw == nullptr) return;
  for (std::int64_t i = 0; i < n; ++i) dw[i] += dy[i] * x[i] * r;
}

template <class D, class V>
V Sigmoid(D d, V x) {
  const auto one = hn::Set(d, 1.0f), highest = hn::Set(d, 88.0f);  // Exp is garbage, not infinite, beyond 104
  return hn::Div(one, hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(x), highest))));
}

void Swiglu(const float* g, const float* u, std::int64_t n, float* y) {
  for_each(n, [&](auto d, std::int64_t i) {
    const auto gate = hn::LoadU(d, g + i);
    hn::StoreU(hn::Mul(hn::Mul(gate, Sigmoid(d, gate)), hn::LoadU(d, u + i)), d, y + i);
  });
}

void SwigluBackward(const float* g, const float* u, const float* dy, std::int64_t n, float* dg, float* du) {
  for_each(n, [&](auto d, std::int64_t i) {
    const auto gate = hn::LoadU(d, g + i), grad = hn::LoadU(d, dy + i), s = Sigmoid(d, gate);
    const auto slope = hn::Mul(s, hn::Add(hn::Set(d, 1.0f), hn::Mul(gate, hn::Sub(hn::Set(d, 1.0f), s))));
    hn::StoreU(hn::Mul(hn::Mul(grad, hn::LoadU(d, u + i)), slope), d, dg + i);
    hn::StoreU(hn::Mul(hn::Mul(grad, gate), s), d, du + i);
  });
}

void SoftmaxPrefix(float* x, float scale, std::int64_t valid, std::int64_t n) {
  const float highest = highest_of(x, valid);
  for_each(valid, [&](auto tag, std::int64_t at) {
    const auto shifted = hn::Mul(hn::Set(tag, scale), hn::Sub(hn::LoadU(tag, x + at), hn::Set(tag, highest)));
    hn::StoreU(hn::Exp(tag, shifted), tag, x + at);
  });
  const float total = sum_over(valid, [&](auto tag, std::int64_t at) { return hn::LoadU(tag, x + at); });
  const float share = 1 / total;
  for (std::int64_t at = 0; at < valid; ++at) x[at] *= share;
  std::fill(x + valid, x + n, 0.0f);
}

void SoftmaxPrefixBackward(const float* p, float* dp, float scale, std::int64_t valid, std::int64_t n) {
  const float dot =
      sum_over(valid, [&](auto d, std::int64_t i) { return hn::Mul(hn::LoadU(d, p + i), hn::LoadU(d, dp + i)); });
  for (std::int64_t i = 0; i < valid; ++i) dp[i] = scale * p[i] * (dp[i] - dot);
  std::fill(dp + valid, dp + n, 0.0f);
}

// Plain loops over bits, which compilers turn into vectors.
void Widen(const std::uint16_t* x, std::int64_t n, float* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = std::bit_cast<float>(static_cast<std::uint32_t>(x[i]) << 16);
}

void RoundToBfloat16(const float* x, std::int64_t n, std::uint16_t* y) {
  for (std::int64_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(x[i]);
    y[i] = static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
}

void Rotate(const float* x, const float* cos, const float* sin, float sign, std::int64_t half, float* out) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float c = cos[i], s = sign * sin[i];
    out[i] = x[i] * c - x[i + half] * s;
    out[i + half] = x[i + half] * c + x[i] * s;
  }
}

}  // namespace elastify::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elastify::kernels {

HWY_EXPORT(RmsNorm);
HWY_EXPORT(RmsNormBackward);
HWY_EXPORT(Swiglu);
HWY_EXPORT(SwigluBackward);
HWY_EXPORT(SoftmaxPrefix);
HWY_EXPORT(SoftmaxPrefixBackward);
HWY_EXPORT(Widen);
HWY_EXPORT(RoundToBfloat16);
HWY_EXPORT(Rotate);

float rms_norm(const float* x, const float* w, float eps, std::int64_t n, float* y) {
  return HWY_DYNAMIC_DISPATCH(RmsNorm)(x, w, eps, n, y);
}
void rms_norm_backward(const float* x, const float* w, const float* dy, float r, std::int64_t n, float* dx, float* dw) {
  HWY_DYNAMIC_DISPATCH(RmsNormBackward)(x, w, dy, r, n, dx, dw);
}
void swiglu(const float* g, const float* u, std::int64_t n, float* y) { HWY_DYNAMIC_DISPATCH(Swiglu)(g, u, n, y); }
void swiglu_backward(const float* g, const float* u, const float* dy, std::int64_t n, float* dg, float* du) {
  HWY_DYNAMIC_DISPATCH(SwigluBackward)(g, u, dy, n, dg, du);
}
void softmax_prefix(float* x, float scale, std::int64_t valid, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(SoftmaxPrefix)(x, scale, valid, n);
}
void softmax_prefix_backward(const float* p, float* dp, float scale, std::int64_t valid, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(SoftmaxPrefixBackward)(p, dp, scale, valid, n);
}
void widen(const std::uint16_t* x, std::int64_t n, float* y) { HWY_DYNAMIC_DISPATCH(Widen)(x, n, y); }
void round_to_bfloat16(const float* x, std::int64_t n, std::uint16_t* y) {
  HWY_DYNAMIC_DISPATCH(RoundToBfloat16)(x, n, y);
}
void rotate(const float* x, const float* cos, const float* sin, float sign, std::int64_t half, float* out) {
  HWY_DYNAMIC_DISPATCH(Rotate)(x, cos, sin, sign, half, out);
}

}  // namespace elastify::kernels
#endif
