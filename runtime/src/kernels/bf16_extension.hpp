// Highway's AVX3 has no products of bfloat16: where the processor has them, they come as a second copy of the kernels,
// compiled with the attribute. Included for every target, no include guard, after hwy/highway.h.
#undef ELRT_BF16_ATTRIBUTE
#if HWY_TARGET == HWY_AVX3
#define ELRT_BF16_ATTRIBUTE HWY_TARGET_STR ",avx512bf16"
#endif

#ifndef ELRT_BF16_EXTENSION_SWITCH
#define ELRT_BF16_EXTENSION_SWITCH
namespace elrt::kernels {
bool use_bf16_extension();  // kernels_matmul.cpp
}
#endif
