// Horizontal sums of several vectors at once. Included inside a target's namespace, after D (a tag of floats) and V,
// its vector.

#if HWY_TARGET != HWY_SCALAR
// The sums of neighbours of `low` and of `high`, where vectors hold `Lanes` sums' parts each. Their order is what makes
// neighbours of them meet in the next step: those of `low` first, or, with 512 bits, where it costs less than crossing
// them, by 128 bits, until each holds parts of four outputs; the rest of the tree is over these 128 bits. Either way
// the same numbers are added.
template <std::size_t Lanes>
HWY_INLINE V add_pairs(V low, V high) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (Lanes >= 8)
    return hn::Add(V{_mm512_shuffle_ps(low.raw, high.raw, 0x88)}, V{_mm512_shuffle_ps(low.raw, high.raw, 0xDD)});
  else
    return hn::Add(V{_mm512_shuffle_f32x4(low.raw, high.raw, 0x88)}, V{_mm512_shuffle_f32x4(low.raw, high.raw, 0xDD)});
#else
  const D d;
  return hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
#endif
}

// Lanes / 2 sums of neighbours of two vectors in one, until one lane of each is left. The numbers are constants, so
// that all stays in registers.
template <int Left, std::size_t Lanes>
HWY_INLINE void add_neighbours(V* vectors) {
  if constexpr (Lanes > 1) {
    for (int i = 0; i < Left / 2; ++i) vectors[i] = add_pairs<Lanes>(vectors[2 * i], vectors[2 * i + 1]);
    if constexpr (Left % 2 != 0) vectors[Left / 2] = add_pairs<Lanes>(vectors[Left - 1], vectors[Left - 1]);
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
