// Horizontal sums of several vectors at once. Included inside a target's namespace, behind D (a tag of floats) and V, its vector.

// Sums neighbours until one lane of each vector is left, as one tree for all of them: out[i] is vectors[i]'s sum, whatever Count is.
template <int Count>
HWY_INLINE void sum_lanes(V (&vectors)[Count], float (&out)[Count]) {
  const D d;
  int left = Count;
#if HWY_TARGET != HWY_SCALAR
  for (std::size_t lanes = hn::Lanes(d); lanes > 1; lanes /= 2) {
    for (int i = 0; i < left; i += 2) {
      const V low = vectors[i], high = vectors[i + 1 < left ? i + 1 : i];
      vectors[i / 2] = hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
    }
    left = (left + 1) / 2;
  }
#endif
  alignas(64) float sums[Count + kPadding];
  for (int i = 0; i < left; ++i) hn::StoreU(vectors[i], d, sums + i * hn::Lanes(d));
  for (int i = 0; i < Count; ++i) out[i] = sums[i];
}
