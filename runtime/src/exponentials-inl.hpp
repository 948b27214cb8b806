// Included inside the namespace of an instruction set, behind D, V and hn; no include guard: once for each.

// x <- exp(scale (x - max x)) with scale above 0, zero from `count` up to the padding; returns their sum. A NaN stays one, so that it is seen.
HWY_INLINE float exponentials(float* x, float scale, std::size_t count) {
  const D d;
  const std::size_t lanes = hn::Lanes(d), whole = padded(count);
  for (std::size_t i = count; i < whole; ++i) x[i] = -std::numeric_limits<float>::infinity();
  V highest = hn::LoadU(d, x);
  for (std::size_t i = lanes; i < whole; i += lanes) highest = hn::Max(highest, hn::LoadU(d, x + i));
  const V factor = hn::Set(d, scale), shift = hn::MaxOfLanes(d, highest);
  V sum = hn::Zero(d);
  for (std::size_t i = 0; i < whole; i += lanes) {
    const V value = hn::LoadU(d, x + i);
    const V weight = hn::IfThenElse(hn::IsNaN(value), value, hn::Exp(d, hn::Mul(factor, hn::Sub(value, shift))));  // Exp(NaN) is 0
    hn::StoreU(weight, d, x + i);
    sum = hn::Add(sum, weight);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}
