#include "profile/probe_kernels.h"

#include <algorithm>
#include <bit>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "profile/probe_kernels.cpp"
#include <hwy/foreach_target.h>  // compiles what follows once per target

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace elastify::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
#include "model/vector_loops-inl.h"

void Probe(const float* p, std::int64_t n, float* signs) {
  const float total = sum_over(n, [&](auto tag, std::int64_t at) {
    return hn::Mul(hn::Sqrt(hn::LoadU(tag, p + at)), hn::LoadU(tag, signs + at));
  });
  for_each(n, [&](auto tag, std::int64_t at) {
    const auto share = hn::LoadU(tag, p + at), r = hn::Mul(hn::Sqrt(share), hn::LoadU(tag, signs + at));
    hn::StoreU(hn::Sub(r, hn::Mul(share, hn::Set(tag, total))), tag, signs + at);
  });
}

std::uint64_t splitmix64(std::uint64_t state) {
  state += 0x9e3779b97f4a7c15ull;
  state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ull;
  state = (state ^ (state >> 27)) * 0x94d049bb133111ebull;
  return state ^ (state >> 31);
}

void RandomSigns(std::uint64_t seed, std::uint64_t row, std::int64_t n, float* signs) {
  const std::uint64_t stream = splitmix64(seed ^ splitmix64(row));
  for (std::int64_t begin = 0; begin < n; begin += 64) {
    const std::uint64_t bits = splitmix64(stream + static_cast<std::uint64_t>(begin));
    const std::uint32_t halves[2] = {static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)};
    for (std::int64_t half = 0; half < 2; ++half) {
      const std::int64_t first = begin + 32 * half, count = std::min<std::int64_t>(32, n - first);
      for (std::int64_t i = 0; i < count; ++i) {
        signs[first + i] = std::bit_cast<float>(0x3f800000u | ((halves[half] >> i) << 31));  // 1, with that sign
      }
    }
  }
}

}  // namespace elastify::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elastify::kernels {

HWY_EXPORT(Probe);
HWY_EXPORT(RandomSigns);

void probe(const float* p, std::int64_t n, float* signs) { HWY_DYNAMIC_DISPATCH(Probe)(p, n, signs); }
void random_signs(std::uint64_t seed, std::uint64_t row, std::int64_t n, float* signs) {
  HWY_DYNAMIC_DISPATCH(RandomSigns)(seed, row, n, signs);
}

}  // namespace elastify::kernels
#endif
