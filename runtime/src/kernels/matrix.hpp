// Weight matrices as they lie in the file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "elrt/format.h"
#include "elrt/tensor_type.hpp"

namespace elrt {

// Element (output o, input i) of an F32, F16 or BF16 matrix is at
// (i / 32) * tile_stride + o * row_stride + i % 32, in elements: rows are stored with tile_stride 32 and row_stride
// = inputs, tiles with row_stride 32 and tile_stride = 32 * outputs. A quantised matrix's panel of output o and input i
// (format.h, LAYOUT) is at (i / 32) * tile_stride + (o / panel_outputs) * row_stride, in bytes.
struct Matrix {
  const std::byte* data = nullptr;
  TensorType type = TensorType::kF32;
  std::uint32_t outputs = 0, inputs = 0;
  std::size_t tile_stride = 0, row_stride = 0;
  bool tiled = false;                                   // whole tiles, their tails zero
  std::uint32_t panel_outputs = format::kPanelOutputs;  // of quantised ones; of an adapter's first matrix fewer

  explicit operator bool() const { return data != nullptr; }
  bool quantised() const { return is_quantised(type); }
  std::size_t element_bytes() const { return type == TensorType::kF32 ? 4 : 2; }  // of floats
  std::size_t panel_bytes() const {                                               // of quantised ones
    const std::size_t whole = type == TensorType::kQ8_0 ? format::kQ8PanelBytes : format::kQ4PanelBytes;
    return whole * panel_outputs / format::kPanelOutputs;
  }
};

// Element (output o, input i) of an F32 or F16 matrix in columns is at (o / 32 * inputs + i) * 32 + o % 32; of a Q8_0
// one in block o / 32 * inputs + i.
struct Columns {
  const std::byte* data = nullptr;
  TensorType type = TensorType::kF32;
  std::uint32_t outputs = 0, inputs = 0;

  std::size_t row_bytes() const {  // of one input's 32 outputs
    if (type == TensorType::kQ8_0) return format::kQ8ColumnBytes;
    return format::kColumnOutputs * std::size_t{type == TensorType::kF32 ? 4u : 2u};
  }
  std::size_t panel_bytes() const { return inputs * row_bytes(); }
  std::size_t bytes() const {
    return (std::size_t{outputs} + format::kColumnOutputs - 1) / format::kColumnOutputs * panel_bytes();
  }
};

}  // namespace elrt
