// The second matrix of an adapter: y[t][o] += scale * sum_r B[o][r] low[t][r] over so few r that adding up a vector's lanes would cost
// more than the products. Instead outputs lie side by side in a vector, and r runs down: one fused sum per output, r ascending.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels_low_rank.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <algorithm>
#include <bit>

#include "half.hpp"
#include "kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr std::size_t kLanes = hn::MaxLanes(D());

HWY_INLINE void to_floats(const hwy::float16_t* in, std::size_t count, float* out) {
  const D d;
  std::size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) hn::Store(hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::float16_t, D>(), in + i)), d, out + i);
  for (; i < count; ++i) out[i] = float_from_half(std::bit_cast<std::uint16_t>(in[i]));
}

// Adds one vector of outputs, of which `count` exist.
HWY_INLINE void add_outputs(const Matmul& job, std::uint32_t output, std::uint32_t count, const V* columns) {
  const D d;
  for (std::uint32_t t = 0; t < job.tokens; ++t) {
    const float* low = job.x + t * job.x_stride;
    float* y = job.y + t * job.y_stride + output;
    V sum = hn::Zero(d);
    for (std::uint32_t r = 0; r < job.inputs; ++r) sum = hn::MulAdd(columns[r], hn::Set(d, low[r]), sum);
    const V product = hn::Mul(hn::Set(d, job.scale), sum);
    if (count == kLanes) {
      hn::StoreU(job.accumulate ? hn::Add(hn::LoadU(d, y), product) : product, d, y);
      continue;
    }
    alignas(64) float values[kLanes];
    hn::Store(product, d, values);
    for (std::uint32_t i = 0; i < count; ++i) y[i] = job.accumulate ? y[i] + values[i] : values[i];
  }
}

void MatmulLowRank(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  const D d;
  const hn::RebindToSigned<D> di;
  const Matrix& m = *job.weights;
  const auto offsets = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<std::int32_t>(job.inputs)));
  alignas(64) float rows[kLanes * kLowRank] = {};
  V columns[kLowRank];
  for (std::uint32_t output = begin; output < end; output += kLanes) {
    const auto count = std::min(static_cast<std::uint32_t>(kLanes), end - output);
    to_floats(reinterpret_cast<const hwy::float16_t*>(m.data) + output * m.row_stride, std::size_t{count} * job.inputs, rows);
    for (std::uint32_t r = 0; r < job.inputs; ++r) columns[r] = hn::GatherIndex(d, rows + r, offsets);
    add_outputs(job, output, count, columns);
  }
}

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(MatmulLowRank);

void matmul_low_rank(const Matmul& job, std::uint32_t begin, std::uint32_t end) { HWY_DYNAMIC_DISPATCH(MatmulLowRank)(job, begin, end); }
}  // namespace elrt::kernels
#endif
