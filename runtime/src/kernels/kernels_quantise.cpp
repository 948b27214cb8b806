// Activations to eight bits, and to bfloat16. See quantised_rows.hpp and rounded_rows.hpp for the rules.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/kernels_quantise.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include "kernels/kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kPadding>;
using V = hn::Vec<D>;

HWY_INLINE void quantise_block(const float* x, std::int8_t* out, BlockFactors& factors) {
  const D d;
  const hn::RebindToSigned<D> di;
  V highest = hn::Zero(d), probe = hn::Zero(d);
  for (std::size_t i = 0; i < kPadding; i += hn::Lanes(d)) {
    const V value = hn::LoadU(d, x + i);
    highest = hn::Max(highest, hn::Abs(value));
    probe = hn::Add(probe, hn::Mul(value, hn::Zero(d)));  // NaN where a value is NaN or infinite
  }
  // Below this the reciprocal overflows; such activations are nothing.
  constexpr float kSmallest = 1e-30f;
  const float largest = hn::GetLane(hn::MaxOfLanes(d, highest));
  const float scale = largest < kSmallest ? 0.0f : largest / 127.0f,
              inverse = largest < kSmallest ? 0.0f : 127.0f / largest;
  auto sum = hn::Zero(di);
  for (std::size_t i = 0; i < kPadding; i += hn::Lanes(d)) {
    const auto q = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, inverse)));
    const hn::Rebind<std::int8_t, D> d8;
    const auto bytes = hn::DemoteTo(d8, q);
    hn::StoreU(bytes, d8, out + i);
    sum = hn::Add(sum, hn::PromoteTo(di, bytes));  // of what is stored: a NaN saturates
  }
  const std::int32_t total = hn::GetLane(hn::SumOfLanes(di, sum));
  factors = {scale + hn::GetLane(hn::SumOfLanes(d, probe)), -8 * total, -128 * total};
}

void QuantiseRow(const float* x, std::size_t width, QuantisedRows& out, std::size_t row) {
  std::int8_t* values = out.values.data() + row * out.value_stride;
  BlockFactors* factors = out.factors.data() + row * out.block_stride;
  for (std::size_t block = 0; block * kPadding < width; ++block) {
    quantise_block(x + block * kPadding, values + block * kPadding, factors[block]);
  }
}

// To the upper half of a float: half of its last place is added, less a bit where that place is even.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> rounded_bits(V value) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, value), odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFF))));
  return hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(value)), hn::Set(du, 0x7FC0), rounded);
}

void RoundRow(const float* x, std::size_t width, RoundedRows& out, std::size_t row) {
  const D d;
  const hn::RebindToSigned<D> di;  // the bits are below 2^16: no sign, nothing saturates
  const hn::Rebind<std::uint16_t, D> halves;
  std::uint16_t* to = out.row(row);
  for (std::size_t i = 0; i < width; i += hn::Lanes(d))
    hn::StoreU(hn::DemoteTo(halves, hn::BitCast(di, rounded_bits(hn::LoadU(d, x + i)))), halves, to + i);
}

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
HWY_EXPORT(QuantiseRow);
HWY_EXPORT(RoundRow);
void quantise_row(const float* x, std::size_t width, QuantisedRows& out, std::size_t row) {
  HWY_DYNAMIC_DISPATCH(QuantiseRow)(x, width, out, row);
}
void round_row(const float* x, std::size_t width, RoundedRows& out, std::size_t row) {
  HWY_DYNAMIC_DISPATCH(RoundRow)(x, padded(width), out, row);
}
}  // namespace elrt::kernels
#endif
