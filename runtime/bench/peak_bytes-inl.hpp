// Byte products as fast as they go, each widened to 32 bits. Included once per target after byte_dot-inl.hpp.

constexpr std::size_t kByteSums = 8;

HWY_INLINE std::uint64_t ops_per_round() { return kByteSums * hn::Lanes(DI()) * 4 * 2; }

HWY_INLINE VI add_product(VI sum, VI w, VI x) { return ByteDot::end(ByteDot::add(ByteDot::begin(sum), w, x), sum); }

HWY_NOINLINE void rounds_of_bytes(std::uint64_t rounds) {
  volatile std::int32_t source =
      0x01020304;  // unknown to the compiler, and so are equal values: nothing is computed once for all
  const auto unknown = [&]() HWY_ATTR { return hn::Set(DI(), source); };
  const VI w0 = unknown(), w1 = unknown(), w2 = unknown(), w3 = unknown(), w4 = unknown(), w5 = unknown(),
           w6 = unknown(), w7 = unknown();
  const VI step = unknown();
  VI x = unknown(), s0 = w0, s1 = w1, s2 = w2, s3 = w3, s4 = w4, s5 = w5, s6 = w6, s7 = w7;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    s0 = add_product(s0, w0, x), s1 = add_product(s1, w1, x), s2 = add_product(s2, w2, x), s3 = add_product(s3, w3, x);
    s4 = add_product(s4, w4, x), s5 = add_product(s5, w5, x), s6 = add_product(s6, w6, x), s7 = add_product(s7, w7, x);
    x = hn::Add(x, step);
  }
  const VI total = hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(hn::Add(s4, s5), hn::Add(s6, s7)));
  source = hn::GetLane(hn::SumOfLanes(DI(), total));
}
