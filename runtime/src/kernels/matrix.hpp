// Weight matrices as they lie in the file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "elrt/format.h"
#include "elrt/tensor_type.hpp"

namespace elrt {

// Element (output o, input i) of an F32 or F16 matrix is at
// (i / 32) * tile_stride + o * row_stride + i % 32, in elements: rows are stored with tile_stride 32 and row_stride
// = inputs, tiles with row_stride 32 and tile_stride = 32 * outputs. A quantised matrix's panel of output o and input i
// (format.h, LAYOUT) is at (i / 32) * tile_stride + (o / 32) * row_stride, in bytes.
struct Matrix {
  const std::byte* data = nullptr;
  TensorType type = TensorType::kF32;
  std::uint32_t outputs = 0, inputs = 0;
  std::size_t tile_stride = 0, row_stride = 0;
  bool tiled = false;  // whole tiles, their tails zero

  explicit operator bool() const { return data != nullptr; }
  bool quantised() const { return is_quantised(type); }
  std::size_t element_bytes() const { return type == TensorType::kF32 ? 4 : 2; }  // of F32 and F16
  std::size_t panel_bytes() const {                                               // of quantised ones
    return type == TensorType::kQ8_0 ? format::kQ8PanelBytes : format::kQ4PanelBytes;
  }
};

// Element (output o, input i) of an F32 or F16 matrix in columns is at (o / 32 * inputs + i) * 32 + o % 32.
struct Columns {
  const std::byte* data = nullptr;
  TensorType type = TensorType::kF32;
  std::uint32_t outputs = 0, inputs = 0;

  std::size_t element_bytes() const { return type == TensorType::kF32 ? 4 : 2; }
  std::size_t panel_bytes() const { return std::size_t{inputs} * format::kColumnOutputs * element_bytes(); }
  std::size_t bytes() const {
    return (std::size_t{outputs} + format::kColumnOutputs - 1) / format::kColumnOutputs * panel_bytes();
  }
};

}  // namespace elrt
