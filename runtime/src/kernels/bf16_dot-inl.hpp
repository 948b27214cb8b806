// The processor's products of bfloat16, AVX-512 BF16's. Included inside a target's namespace whose functions are
// compiled for it (ELRT_BF16_ATTRIBUTE of bf16_extension.hpp).

// Each lane adds the products of two neighbours to its sum, the second's first, each addition rounded to float32;
// denormal numbers count as zero.
HWY_INLINE hn::Vec<hn::CappedTag<float, 16>> add_bf16_products(hn::Vec<hn::CappedTag<float, 16>> sum,
                                                               hn::Vec<hn::CappedTag<float, 16>> weights,
                                                               hn::Vec<hn::CappedTag<float, 16>> inputs) {
  return {_mm512_dpbf16_ps(sum.raw, reinterpret_cast<__m512bh>(weights.raw), reinterpret_cast<__m512bh>(inputs.raw))};
}
