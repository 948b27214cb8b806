// Loops over rows of float32, one pass each, that LibTorch would run as several: Highway picks the widest vectors of
// the processor at run time. Callers split the rows among threads. No function depends on how rows are split.
#pragma once

#include <cstdint>

namespace elastify::kernels {

// y = x * w / sqrt(mean(x^2) + eps) for one row of n; returns the reciprocal root.
float rms_norm(const float* x, const float* w, float eps, std::int64_t n, float* y);
// dx = r (w dy - x r^2 mean(w dy x)); where dw is given, dw += dy x r.
void rms_norm_backward(const float* x, const float* w, const float* dy, float r, std::int64_t n, float* dx, float* dw);

// y = g sigmoid(g) u over n elements.
void swiglu(const float* g, const float* u, std::int64_t n, float* y);
void swiglu_backward(const float* g, const float* u, const float* dy, std::int64_t n, float* dg, float* du);

// x[0..valid) becomes softmax(scale x), x[valid..n) becomes 0.
void softmax_prefix(float* x, float scale, std::int64_t valid, std::int64_t n);
// dp[0..valid) becomes scale p (dp - sum(p dp)), the rest 0: the gradient of scores before scaling.
void softmax_prefix_backward(const float* p, float* dp, float scale, std::int64_t valid, std::int64_t n);

// bfloat16, as bits, to float and back to the nearest (ties to even; NaN stays NaN only where its upper bits say so).
void widen(const std::uint16_t* x, std::int64_t n, float* y);
void round_to_bfloat16(const float* x, std::int64_t n, std::uint16_t* y);

// Turns one head's pair (i, i + half) by the angle of column i; sign -1 turns back. out may not overlap x.
void rotate(const float* x, const float* cos, const float* sin, float sign, std::int64_t half, float* out);

}  // namespace elastify::kernels
