// Sums of products of weight bytes and signed activation bytes, four per 32-bit lane. Highway 1.0.3 has no such
// multiply-add, so each instruction set gives its own here; every one of them is exact. Included once per target,
// inside the target's namespace; ELRT_BYTE_DOT_EXTENSION asks for the instructions beyond Highway's target (VNNI, ARM
// dot product).
//
//   NibbleDot         weights of 0 to 15
//   ByteDot           weights of -127 to 127, as bytes of q + kOffset
//   kOffset           what is added to a weight: its sum of activations is subtracted by `start`
//   Sum begin(start)  a running sum from `start` (int32 lanes); add() adds to it, 8 times at most; end(sum, start)
//   gives int32 lanes
//
// Weights and activations are passed as the int32 lanes that hold their four bytes.

using DI = hn::CappedTag<std::int32_t, 16>;
using VI = hn::Vec<DI>;

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_SSSE3 && !ELRT_BYTE_DOT_EXTENSION

HWY_INLINE hn::Vec<hn::Repartition<std::int16_t, DI>> pairs(VI bytes, VI signed_bytes) {
#if HWY_TARGET <= HWY_AVX3
  return {_mm512_maddubs_epi16(bytes.raw, signed_bytes.raw)};
#elif HWY_TARGET == HWY_AVX2
  return {_mm256_maddubs_epi16(bytes.raw, signed_bytes.raw)};
#else
  return {_mm_maddubs_epi16(bytes.raw, signed_bytes.raw)};
#endif
}

HWY_INLINE VI sum_pairs(hn::Vec<hn::Repartition<std::int16_t, DI>> pairs) {
  const auto one = hn::Set(hn::Repartition<std::int16_t, DI>(), 1);
#if HWY_TARGET <= HWY_AVX3
  return {_mm512_madd_epi16(pairs.raw, one.raw)};
#elif HWY_TARGET == HWY_AVX2
  return {_mm256_madd_epi16(pairs.raw, one.raw)};
#else
  return {_mm_madd_epi16(pairs.raw, one.raw)};
#endif
}

// GCC would multiply first, keep all products in memory and add them later: three times the work.
template <typename Vector>
HWY_INLINE Vector add_now(Vector sum, Vector products) {
  sum = hn::Add(sum, products);
#if HWY_COMPILER_GCC_ACTUAL
  asm("" : "+v"(sum.raw));
#endif
  return sum;
}

// vpmaddubsw: pairs of products in 16 bits. 8 calls x 2 products x 15 x 127 = 30480 fit; a full weight byte does not.
struct NibbleDot {
  using DS = hn::Repartition<std::int16_t, DI>;
  using Sum = hn::Vec<DS>;

  static HWY_INLINE Sum begin(VI) { return hn::Zero(DS()); }
  static HWY_INLINE Sum add(Sum sum, VI weights, VI inputs) { return add_now(sum, pairs(weights, inputs)); }
  static HWY_INLINE VI end(Sum sum, VI start) { return hn::Add(start, sum_pairs(sum)); }
};

// The activation's sign moves to the weight: a pair of products is at most 2 x 127 x 127 = 32258.
struct ByteDot {
  static constexpr int kOffset = 0;
  using Sum = VI;

  static HWY_INLINE VI with_sign(VI weights, VI inputs) {
#if HWY_TARGET <= HWY_AVX3
    return VI{_mm512_mask_sub_epi8(weights.raw, _mm512_movepi8_mask(inputs.raw), _mm512_setzero_si512(), weights.raw)};
#elif HWY_TARGET == HWY_AVX2
    return VI{_mm256_sign_epi8(weights.raw, inputs.raw)};
#else
    return VI{_mm_sign_epi8(weights.raw, inputs.raw)};
#endif
  }
  static HWY_INLINE Sum begin(VI start) { return start; }
  static HWY_INLINE Sum add(Sum sum, VI weights, VI inputs) {
    const hn::Repartition<std::int8_t, DI> bytes;
    const VI sizes = hn::BitCast(DI(), hn::Abs(hn::BitCast(bytes, inputs)));
    return add_now(sum, sum_pairs(pairs(sizes, with_sign(weights, inputs))));
  }
  static HWY_INLINE VI end(Sum sum, VI) { return sum; }
};

#elif HWY_ARCH_X86 && ELRT_BYTE_DOT_EXTENSION

struct ByteDot {  // AVX-512 VNNI
  static constexpr int kOffset = 128;
  using Sum = VI;

  static HWY_INLINE Sum begin(VI start) { return start; }
  static HWY_INLINE Sum add(Sum sum, VI weights, VI inputs) {
    return VI{_mm512_dpbusd_epi32(sum.raw, weights.raw, inputs.raw)};
  }
  static HWY_INLINE VI end(Sum sum, VI) { return sum; }
};
using NibbleDot = ByteDot;

#elif HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64

struct ByteDot {
  static constexpr int kOffset = 0;
  using Sum = VI;

  static HWY_INLINE Sum begin(VI start) { return start; }
  static HWY_INLINE Sum add(Sum sum, VI weights, VI inputs) {
    const int8x16_t w = vreinterpretq_s8_s32(weights.raw), x = vreinterpretq_s8_s32(inputs.raw);
#if ELRT_BYTE_DOT_EXTENSION
    return VI{vdotq_s32(sum.raw, w, x)};
#else
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
    return VI{vpadalq_s16(sum.raw, vpaddq_s16(low, high))};  // a pair is at most 2 x 127 x 127 = 32258
#endif
  }
  static HWY_INLINE VI end(Sum sum, VI) { return sum; }
};
using NibbleDot = ByteDot;

#else

struct ByteDot {  // plain 32-bit arithmetic, for any target
  static constexpr int kOffset = 128;
  using Sum = VI;

  template <int Byte>
  static HWY_INLINE VI product(VI weights, VI inputs) {
    const hn::RebindToUnsigned<DI> du;
    const VI weight =
        hn::And(hn::BitCast(DI(), hn::ShiftRight<8 * Byte>(hn::BitCast(du, weights))), hn::Set(DI(), 255));
    return hn::Mul(weight, hn::ShiftRight<24>(hn::ShiftLeft<24 - 8 * Byte>(inputs)));
  }
  static HWY_INLINE Sum begin(VI start) { return start; }
  static HWY_INLINE Sum add(Sum sum, VI weights, VI inputs) {
    const VI low = hn::Add(product<0>(weights, inputs), product<1>(weights, inputs));
    return hn::Add(sum, hn::Add(low, hn::Add(product<2>(weights, inputs), product<3>(weights, inputs))));
  }
  static HWY_INLINE VI end(Sum sum, VI) { return sum; }
};
using NibbleDot = ByteDot;

#endif
