// Horizontal sums of several vectors at once. Included inside a target's namespace, after D (a tag of floats) and V,
// its vector.

#if HWY_TARGET != HWY_SCALAR
// Lanes / 2 sums of neighbours of two vectors in one, until one lane of each is left. The numbers are constants, so
// that all stays in registers.
template <int Left, std::size_t Lanes>
HWY_INLINE void add_neighbours(V* vectors) {
  if constexpr (Lanes > 1) {
    const D d;
    for (int i = 0; i < Left / 2; ++i) {
      const V low = vectors[2 * i], high = vectors[2 * i + 1];
      vectors[i] = hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
    }
    if constexpr (Left % 2 != 0) {
      const V last = vectors[Left - 1];
      vectors[Left / 2] = hn::Add(hn::ConcatEven(d, last, last), hn::ConcatOdd(d, last, last));
    }
    add_neighbours<(Left + 1) / 2, Lanes / 2>(vectors);
  }
}
#endif

// out[i] is the sum of vectors[i]: one tree, whatever Count is. `out` has room for whole vectors.
template <int Count>
HWY_INLINE void sum_lanes(V (&vectors)[Count], float* out) {
  const D d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
#if HWY_TARGET != HWY_SCALAR
  add_neighbours<Count, kLanes>(vectors);
#endif
  for (int i = 0; i < (Count + kLanes - 1) / kLanes; ++i) hn::StoreU(vectors[i], d, out + i * kLanes);
}
