// Loops over a row of floats. Included inside the namespace of an instruction set, after hn; no include guard: once for
// each.

using Floats = hn::ScalableTag<float>;
using OneFloat = hn::CappedTag<float, 1>;

// body(vector tag, i) for every i < n, the tail with one lane at a time.
template <typename Body>
HWY_INLINE void for_each(std::int64_t n, Body body) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) body(d, i);
  for (; i < n; ++i) body(OneFloat(), i);
}

// Sum over i < n of term(vector tag, i).
template <typename Term>
HWY_INLINE float sum_over(std::int64_t n, Term term) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) sum = hn::Add(sum, term(d, i));
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) total += hn::GetLane(term(OneFloat(), i));
  return total;
}

// The largest of n >= 1 values.
HWY_INLINE float highest_of(const float* x, std::int64_t n) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  float highest = x[0];
  std::int64_t i = 0;
  if (n >= lanes) {
    auto best = hn::LoadU(d, x);
    for (i = lanes; i + lanes <= n; i += lanes) best = hn::Max(best, hn::LoadU(d, x + i));
    highest = hn::GetLane(hn::MaxOfLanes(d, best));
  }
  for (; i < n; ++i) highest = std::max(highest, x[i]);
  return highest;
}
