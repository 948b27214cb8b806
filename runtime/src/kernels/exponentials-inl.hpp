// Included inside the namespace of an instruction set, after D, V and hn; no include guard: once for each.

// 2^(factor x), within 1e-7 of it, for factor x in [-100, 0]. factor x = n + r with n whole: r, which is not rounded
// where products and sums fuse, by a polynomial (minimax on [-1/2, 1/2], exact at 0), n by the exponent's bits.
HWY_INLINE V power_of_two(D d, V factor, V x) {
  const hn::RebindToSigned<D> bits;
  const V round = hn::Set(d, 12582912.0f);  // 1.5 * 2^23: floats of this size are whole, and n is in their low bits
  const V shifted = hn::MulAdd(factor, x, round), r = hn::MulSub(factor, x, hn::Sub(shifted, round));
  V p = hn::Set(d, 1.5353362e-4f);
  for (const float c : {1.3398875e-3f, 9.6184369e-3f, 5.5503324e-2f, 2.4022648e-1f, 6.9314718e-1f, 1.0f})
    p = hn::MulAdd(p, r, hn::Set(d, c));
  return hn::BitCast(d, hn::Add(hn::BitCast(bits, p), hn::ShiftLeft<23>(hn::BitCast(bits, shifted))));
}

// x <- exp(scale (x - max x)) with scale above 0, zero from `count` up to the padding; returns their sum, NaN where a
// score is not finite. Below 2^-100 they stay there: too little to be seen next to the largest, which is 1, and enough
// that no product with them is denormal.
HWY_INLINE float exponentials(float* x, float scale, std::size_t count) {
  constexpr float kLog2OfE = 1.44269504f, kLowest = -100;
  const D d;
  const std::size_t lanes = hn::Lanes(d), whole = padded(count);
  std::fill(x + count, x + whole, std::numeric_limits<float>::lowest());
  V highest = hn::LoadU(d, x);
  for (std::size_t i = lanes; i < whole; i += lanes) highest = hn::Max(highest, hn::LoadU(d, x + i));
  const float factor = scale * kLog2OfE;
  const V factors = hn::Set(d, factor), lowest = hn::Set(d, kLowest / factor), shift = hn::MaxOfLanes(d, highest);
  V sum = hn::Zero(d), unseen = sum;
  for (std::size_t i = 0; i < whole; i += lanes) {
    const V value = hn::LoadU(d, x + i), weight = power_of_two(d, factors, hn::Max(hn::Sub(value, shift), lowest));
    hn::StoreU(weight, d, x + i);
    sum = hn::Add(sum, weight);
    unseen = hn::MulAdd(value, hn::Zero(d), unseen);  // maxima can lose a NaN
  }
  std::fill(x + count, x + whole, 0.0f);
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum, unseen)));
}
