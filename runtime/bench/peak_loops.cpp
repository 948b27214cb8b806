#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "peak_loops.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include "kernels/kernels.hpp"
#include "peak_loops.hpp"

#include "kernels/bf16_extension.hpp"  // for this target

// As in kernels_panels.cpp: VNNI and the ARM dot product come as a second copy.
#undef ELRT_EXTENSION_ATTRIBUTE
#if HWY_TARGET == HWY_AVX3
#define ELRT_EXTENSION_ATTRIBUTE HWY_TARGET_STR ",avx512vnni"
#elif HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64 && (HWY_COMPILER_GCC_ACTUAL || HWY_COMPILER_CLANG >= 1600)
// Inlining needs all that Highway's own functions are compiled for (+crypto) and the architecture of the compiler's
// intrinsic.
#define ELRT_EXTENSION_ATTRIBUTE "arch=armv8.2-a+crypto+dotprod"
#endif

#ifndef ELRT_BYTE_DOT_EXTENSION_SWITCH
#define ELRT_BYTE_DOT_EXTENSION_SWITCH
namespace elrt::kernels {
bool use_byte_dot_extension();  // kernels_panels.cpp
}
#endif

HWY_BEFORE_NAMESPACE();
namespace elrt::peak::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace plain {
#undef ELRT_BYTE_DOT_EXTENSION
#define ELRT_BYTE_DOT_EXTENSION 0
#include "kernels/byte_dot-inl.hpp"
#include "peak_bytes-inl.hpp"
}  // namespace plain
}  // namespace elrt::peak::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#ifdef ELRT_EXTENSION_ATTRIBUTE
HWY_PUSH_ATTRIBUTES(ELRT_EXTENSION_ATTRIBUTE)
namespace elrt::peak::HWY_NAMESPACE {
namespace extended {
#undef ELRT_BYTE_DOT_EXTENSION
#define ELRT_BYTE_DOT_EXTENSION 1
#include "kernels/byte_dot-inl.hpp"
#include "peak_bytes-inl.hpp"
}  // namespace extended
}  // namespace elrt::peak::HWY_NAMESPACE
HWY_POP_ATTRIBUTES
#endif

#ifdef ELRT_BF16_ATTRIBUTE
HWY_PUSH_ATTRIBUTES(ELRT_BF16_ATTRIBUTE)
namespace elrt::peak::HWY_NAMESPACE {
namespace bf16 {
#include "kernels/bf16_dot-inl.hpp"

// As FloatRounds below, with more sums: this takes longer than a multiply-add.
constexpr std::size_t kSums = 16;

HWY_NOINLINE void rounds(std::uint64_t count) {
  using Floats = hn::CappedTag<float, 16>;
  const Floats d;
  volatile float source = 0.5f;
  const auto unknown = [&]() HWY_ATTR { return hn::Set(d, source); };
  const auto x = unknown();
  hn::Vec<Floats> sums[kSums];
  for (auto& sum : sums) sum = unknown();
  for (std::uint64_t i = 0; i < count; ++i) {
    for (auto& sum : sums) sum = add_bf16_products(sum, x, x);
  }
  for (std::size_t i = 1; i < kSums; ++i) sums[0] = hn::Add(sums[0], sums[i]);
  source = hn::GetLane(hn::SumOfLanes(d, sums[0]));
}
}  // namespace bf16
}  // namespace elrt::peak::HWY_NAMESPACE
HWY_POP_ATTRIBUTES
#endif

HWY_BEFORE_NAMESPACE();
namespace elrt::peak::HWY_NAMESPACE {

std::uint64_t SumWords(const std::uint64_t* words, std::size_t count) {
  const hn::CappedTag<std::uint64_t, 8> d;
  auto a = hn::Zero(d), b = a, c = a, e = a;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    a = hn::Add(a, hn::LoadU(d, words + i));
    b = hn::Add(b, hn::LoadU(d, words + i + lanes));
    c = hn::Add(c, hn::LoadU(d, words + i + 2 * lanes));
    e = hn::Add(e, hn::LoadU(d, words + i + 3 * lanes));
  }
  std::uint64_t sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(c, e))));
  for (; i < count; ++i) sum += words[i];
  return sum;
}

// Ten sums in registers: more than latency times throughput of any fused multiply-add unit in use.
constexpr std::size_t kSums = 10;
using DF = hn::CappedTag<float, 16>;

std::uint64_t FloatOpsPerRound() { return kSums * hn::Lanes(DF()) * 2; }

void FloatRounds(std::uint64_t rounds) {
  const DF d;
  volatile float source = 0.5f;  // unknown to the compiler, and so are equal values: nothing is computed once for all
  const auto unknown = [&]() HWY_ATTR { return hn::Set(d, source); };
  const auto x = unknown();
  auto s0 = unknown(), s1 = unknown(), s2 = unknown(), s3 = unknown(), s4 = unknown(), s5 = unknown(), s6 = unknown(),
       s7 = unknown(), s8 = unknown(), s9 = unknown();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    s0 = hn::MulAdd(s0, x, x), s1 = hn::MulAdd(s1, x, x), s2 = hn::MulAdd(s2, x, x), s3 = hn::MulAdd(s3, x, x),
    s4 = hn::MulAdd(s4, x, x);
    s5 = hn::MulAdd(s5, x, x), s6 = hn::MulAdd(s6, x, x), s7 = hn::MulAdd(s7, x, x), s8 = hn::MulAdd(s8, x, x),
    s9 = hn::MulAdd(s9, x, x);
  }
  const auto low = hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), s4),
             high = hn::Add(hn::Add(hn::Add(s5, s6), hn::Add(s7, s8)), s9);
  source = hn::GetLane(hn::SumOfLanes(d, hn::Add(low, high)));
}

#ifdef ELRT_BF16_ATTRIBUTE
std::uint64_t Bf16OpsPerRound() {
  return kernels::use_bf16_extension() ? bf16::kSums * hn::Lanes(DF()) * 2 * 2 : FloatOpsPerRound();
}
void Bf16Rounds(std::uint64_t rounds) { kernels::use_bf16_extension() ? bf16::rounds(rounds) : FloatRounds(rounds); }
#else
std::uint64_t Bf16OpsPerRound() { return FloatOpsPerRound(); }
void Bf16Rounds(std::uint64_t rounds) { FloatRounds(rounds); }
#endif

#ifdef ELRT_EXTENSION_ATTRIBUTE
std::uint64_t ByteOpsPerRound() { return plain::ops_per_round(); }
void ByteRounds(std::uint64_t rounds) {
  kernels::use_byte_dot_extension() ? extended::rounds_of_bytes(rounds) : plain::rounds_of_bytes(rounds);
}
#else
std::uint64_t ByteOpsPerRound() { return plain::ops_per_round(); }
void ByteRounds(std::uint64_t rounds) { plain::rounds_of_bytes(rounds); }
#endif

}  // namespace elrt::peak::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::peak {
HWY_EXPORT(SumWords);
HWY_EXPORT(FloatOpsPerRound);
HWY_EXPORT(FloatRounds);
HWY_EXPORT(Bf16OpsPerRound);
HWY_EXPORT(Bf16Rounds);
HWY_EXPORT(ByteOpsPerRound);
HWY_EXPORT(ByteRounds);

std::uint64_t sum_words(const std::uint64_t* words, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(SumWords)(words, count);
}
std::uint64_t float_ops_per_round() { return HWY_DYNAMIC_DISPATCH(FloatOpsPerRound)(); }
void float_rounds(std::uint64_t rounds) { HWY_DYNAMIC_DISPATCH(FloatRounds)(rounds); }
std::uint64_t bf16_ops_per_round() { return HWY_DYNAMIC_DISPATCH(Bf16OpsPerRound)(); }
void bf16_rounds(std::uint64_t rounds) { HWY_DYNAMIC_DISPATCH(Bf16Rounds)(rounds); }
std::uint64_t byte_ops_per_round() { return HWY_DYNAMIC_DISPATCH(ByteOpsPerRound)(); }
void byte_rounds(std::uint64_t rounds) { HWY_DYNAMIC_DISPATCH(ByteRounds)(rounds); }
}  // namespace elrt::peak
#endif
