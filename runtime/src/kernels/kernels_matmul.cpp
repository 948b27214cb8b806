// Matrix products. See kernels.hpp for the promise about the order of sums.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/kernels_matmul.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "kernels/fetch.hpp"
#include "kernels/half.hpp"
#include "kernels/kernels.hpp"

#include "kernels/bf16_extension.hpp"  // for this target

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most a tile's inputs, so that tiles hold whole vectors. Register blocks are arrays of vectors, which rules out
// targets with sizeless vectors (SVE, RVV); see runtime/CMakeLists.txt.
using D = hn::CappedTag<float, 32>;
using V = hn::Vec<D>;
constexpr std::uint32_t kTile = 32;

#include "kernels/lane_sums-inl.hpp"

HWY_INLINE V load_weights(const float* p) { return hn::LoadU(D(), p); }
HWY_INLINE V load_weights(const hwy::float16_t* p) {
  return hn::PromoteTo(D(), hn::LoadU(hn::Rebind<hwy::float16_t, D>(), p));
}
HWY_INLINE V load_weights(const hwy::bfloat16_t* p) {  // the upper half of a float32
  const hn::Rebind<std::uint16_t, D> halves;
  const hn::RebindToUnsigned<D> bits;
  const auto loaded = hn::LoadU(halves, reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(bits, loaded)));
}

HWY_INLINE float to_float(float value) { return value; }
HWY_INLINE float to_float(hwy::float16_t value) { return float_from_half(std::bit_cast<std::uint16_t>(value)); }
HWY_INLINE float to_float(hwy::bfloat16_t value) { return float_from_bf16(std::bit_cast<std::uint16_t>(value)); }

// Weights of any of the types as float32, times float32 (row_kernel-inl.hpp).
template <typename W>
struct FloatProducts {
  using Weight = W;
  using Input = float;
  using Copy = FloatProducts<float>;

  static HWY_INLINE std::size_t values() { return hn::Lanes(D()); }
  static HWY_INLINE V weights(const W* p) { return load_weights(p); }
  static HWY_INLINE V inputs(const float* p) { return hn::LoadU(D(), p); }
  static HWY_INLINE V add(V sum, V w, V x) { return hn::MulAdd(w, x, sum); }
  static HWY_INLINE float copy(W weight) { return to_float(weight); }
  static HWY_INLINE const float* inputs_of(const Matmul& job) { return job.x; }
  static HWY_INLINE std::size_t input_stride(const Matmul& job) { return job.x_stride; }
};

namespace plain {
#include "kernels/row_kernel-inl.hpp"
}  // namespace plain
}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#ifdef ELRT_BF16_ATTRIBUTE
HWY_PUSH_ATTRIBUTES(ELRT_BF16_ATTRIBUTE)
namespace elrt::kernels::HWY_NAMESPACE {
namespace extended {
#include "kernels/bf16_dot-inl.hpp"

#include "kernels/row_kernel-inl.hpp"

// Neighbours in pairs, a pair in each lane.
struct PairProducts {
  using Weight = std::uint16_t;
  using Input = std::uint16_t;
  using Copy = PairProducts;

  static HWY_INLINE std::size_t values() { return 2 * hn::Lanes(D()); }
  static HWY_INLINE V load(const std::uint16_t* p) {
    return hn::BitCast(D(), hn::LoadU(hn::Repartition<std::uint16_t, D>(), p));
  }
  static HWY_INLINE V weights(const std::uint16_t* p) { return load(p); }
  static HWY_INLINE V inputs(const std::uint16_t* p) { return load(p); }
  static HWY_INLINE V add(V sum, V w, V x) { return add_bf16_products(sum, w, x); }
  static HWY_INLINE std::uint16_t copy(std::uint16_t weight) { return weight; }
  static HWY_INLINE const std::uint16_t* inputs_of(const Matmul& job) { return job.rounded->row(0); }
  static HWY_INLINE std::size_t input_stride(const Matmul& job) { return job.rounded->stride; }
};
}  // namespace extended
}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_POP_ATTRIBUTES
#endif

HWY_BEFORE_NAMESPACE();
namespace elrt::kernels::HWY_NAMESPACE {

bool RoundsInputs() {
#ifdef ELRT_BF16_ATTRIBUTE
  return use_bf16_extension();
#else
  return false;
#endif
}

void MatmulRange(const Matmul& job, std::uint32_t begin, std::uint32_t end, float* scratch) {
#ifdef ELRT_BF16_ATTRIBUTE
  if (job.rounded != nullptr) return extended::matmul_rows<extended::PairProducts>(job, begin, end, scratch);
#endif
  if (job.weights->type == TensorType::kF32) return plain::matmul_rows<FloatProducts<float>>(job, begin, end, scratch);
  if (job.weights->type == TensorType::kF16)
    return plain::matmul_rows<FloatProducts<hwy::float16_t>>(job, begin, end, scratch);
  plain::matmul_rows<FloatProducts<hwy::bfloat16_t>>(job, begin, end, scratch);
}

// One output's weights, picked out of its panels.
void load_panel_row(const Matrix& matrix, std::size_t row, float* out) {
  constexpr std::size_t kSide = format::kPanelOutputs;
  const auto* panels = reinterpret_cast<const std::uint8_t*>(matrix.data) + row / kSide * matrix.row_stride;
  for (std::size_t i = 0; i < matrix.inputs; ++i) {
    const std::uint8_t* panel = panels + i / kSide * matrix.tile_stride;
    const std::size_t group = i % kSide / 4, output = row % kSide;
    const auto byte_at = [&](std::size_t g) {
      return panel[format::kPanelScaleBytes + (g * kSide + output) * 4 + i % 4];
    };
    std::uint16_t scale;
    std::memcpy(&scale, panel + 2 * output, sizeof(scale));
    int q = 0;
    if (matrix.type == TensorType::kQ8_0) {
      q = byte_at(group) - 128;
    } else {
      const int half = group < 4 ? byte_at(group) & 15 : byte_at(group - 4) >> 4;
      q = matrix.type == TensorType::kQ4_0 ? half - 8 : format::kIq4Codebook[half];
    }
    out[i] = float_from_half(scale) * static_cast<float>(q);
  }
}

template <typename W>
void load_float_row(const Matrix& matrix, std::size_t row, float* out) {
  const D d;
  const std::size_t count = matrix.inputs;
  const auto* in = reinterpret_cast<const W*>(matrix.data) + row * matrix.row_stride;
  std::size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) hn::StoreU(load_weights(in + i), d, out + i);
  for (; i < count; ++i) out[i] = to_float(in[i]);
}

void LoadRow(const Matrix& matrix, std::size_t row, float* out) {
  if (matrix.quantised()) return load_panel_row(matrix, row, out);
  if (matrix.type == TensorType::kF32) return load_float_row<float>(matrix, row, out);
  if (matrix.type == TensorType::kF16) return load_float_row<hwy::float16_t>(matrix, row, out);
  load_float_row<hwy::bfloat16_t>(matrix, row, out);
}

}  // namespace elrt::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elrt::kernels {
namespace {

bool processor_has_bf16_extension() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

std::atomic<bool> allow_extension{true};

}  // namespace

bool use_bf16_extension() {
  static const bool present = processor_has_bf16_extension();
  return present && allow_extension.load(std::memory_order_relaxed);
}

void allow_bf16_extension(bool allow) { allow_extension.store(allow, std::memory_order_relaxed); }

HWY_EXPORT(RoundsInputs);
HWY_EXPORT(MatmulRange);
HWY_EXPORT(LoadRow);

bool rounds_inputs(const Matrix& weights) {
  return weights.type == TensorType::kBF16 && HWY_DYNAMIC_DISPATCH(RoundsInputs)();
}

void matmul(const Matmul& job, std::uint32_t begin, std::uint32_t end, float* scratch) {
  if (job.weights->quantised()) return matmul_panels(job, begin, end);
  HWY_DYNAMIC_DISPATCH(MatmulRange)(job, begin, end, scratch);
}
void load_row(const Matrix& matrix, std::size_t row, float* out) { HWY_DYNAMIC_DISPATCH(LoadRow)(matrix, row, out); }
}  // namespace elrt::kernels
#endif
