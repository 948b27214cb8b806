// Matrix products of quantised weights and activations; see panel_kernel-inl.hpp.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/kernels_panels.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "elrt/format.h"
#include "kernels/fetch.hpp"
#include "kernels/kernels.hpp"

#if HWY_ARCH_ARM_A64 && HWY_ONCE && defined(__linux__)
#include <sys/auxv.h>
#endif

// Highway's AVX3 has no VNNI and its NEON no dot product: those come as a second copy of the same kernels, compiled
// with the attribute and chosen when the processor has them.
#undef ELRT_EXTENSION_ATTRIBUTE
#if HWY_TARGET == HWY_AVX3
#define ELRT_EXTENSION_ATTRIBUTE HWY_TARGET_STR ",avx512vnni"
#elif HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64 && (HWY_COMPILER_GCC_ACTUAL || HWY_COMPILER_CLANG >= 1600)
// (Older clang declares the instruction only where the whole file is compiled for it.)
// Inlining needs all that Highway's own functions are compiled for (+crypto) and the architecture of the compiler's
// intrinsic.
#define ELRT_EXTENSION_ATTRIBUTE "arch=armv8.2-a+crypto+dotprod"
#endif

#ifndef ELRT_BYTE_DOT_EXTENSION_SWITCH
#define ELRT_BYTE_DOT_EXTENSION_SWITCH
namespace elrt::kernels {
bool use_byte_dot_extension();
}
#endif

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace plain {
#undef ELRT_BYTE_DOT_EXTENSION
#define ELRT_BYTE_DOT_EXTENSION 0
#include "kernels/byte_dot-inl.hpp"
#include "kernels/panel_weights-inl.hpp"

#include "kernels/panel_kernel-inl.hpp"  // on what panel_weights defines

#include "kernels/adapter_panels-inl.hpp"  // on both
}  // namespace plain
}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#ifdef ELRT_EXTENSION_ATTRIBUTE
HWY_PUSH_ATTRIBUTES(ELRT_EXTENSION_ATTRIBUTE)
namespace elrt::kernels::HWY_NAMESPACE {
namespace extended {
#undef ELRT_BYTE_DOT_EXTENSION
#define ELRT_BYTE_DOT_EXTENSION 1
#include "kernels/byte_dot-inl.hpp"
#include "kernels/panel_weights-inl.hpp"

#include "kernels/panel_kernel-inl.hpp"  // on what panel_weights defines

#include "kernels/adapter_panels-inl.hpp"  // on both
}  // namespace extended
}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_POP_ATTRIBUTES
#endif

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
void MatmulPanels(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
#ifdef ELRT_EXTENSION_ATTRIBUTE
  if (use_byte_dot_extension()) return extended::multiply(job, begin, end);
#endif
  plain::multiply(job, begin, end);
}
}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
namespace {

bool processor_has_byte_dot_extension() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512vnni") != 0;
#elif HWY_ARCH_ARM_A64 && defined(__linux__)
  constexpr unsigned long kAsimdDotProduct = 1ul << 20;  // HWCAP_ASIMDDP of Linux
  return (getauxval(AT_HWCAP) & kAsimdDotProduct) != 0;
#else
  return false;
#endif
}

std::atomic<bool> allow_extension{true};

}  // namespace

bool use_byte_dot_extension() {
  static const bool present = processor_has_byte_dot_extension();
  return present && allow_extension.load(std::memory_order_relaxed);
}

void allow_byte_dot_extension(bool allow) { allow_extension.store(allow, std::memory_order_relaxed); }

HWY_EXPORT(MatmulPanels);
void matmul_panels(const Matmul& job, std::uint32_t begin, std::uint32_t end) {
  HWY_DYNAMIC_DISPATCH(MatmulPanels)(job, begin, end);
}
}  // namespace elrt::kernels
#endif
