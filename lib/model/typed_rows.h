// Rows of float32 or bfloat16 tensors as float32: bfloat16 is widened on the way in and rounded to nearest even on the
// way out. Tensors are contiguous, on the CPU, and count as [rows, their last size].
#pragma once

#include <algorithm>
#include <vector>

#include "base/torch.h"
#include "model/fused_kernels.h"

namespace elastify {

using RowBuffer = std::vector<float>;

inline std::uint16_t* half_row(const torch::Tensor& t, std::int64_t row, std::int64_t n) {
  return reinterpret_cast<std::uint16_t*>(t.data_ptr<at::BFloat16>()) + row * n;
}

// Into the tensor itself, or into `buffer`, which grows as needed.
inline const float* read_row(const torch::Tensor& t, std::int64_t row, RowBuffer& buffer) {
  const std::int64_t n = t.size(-1);
  if (t.scalar_type() == torch::kFloat32) return t.data_ptr<float>() + row * n;
  buffer.resize(static_cast<std::size_t>(n));
  kernels::widen(half_row(t, row, n), n, buffer.data());
  return buffer.data();
}

inline void write_row(const torch::Tensor& t, std::int64_t row, const float* values) {
  const std::int64_t n = t.size(-1);
  if (t.scalar_type() == torch::kFloat32)
    std::copy(values, values + n, t.data_ptr<float>() + row * n);
  else
    kernels::round_to_bfloat16(values, n, half_row(t, row, n));
}

}  // namespace elastify
