// The validated model: pointers into the mapping plus per-level counts. Built once when the artifact opens.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/format.h"
#include "gguf_reader.hpp"
#include "mapped_file.hpp"

namespace elrt {

// A weight matrix as it lies in the file. Element (output o, input i) of an F32 or F16 matrix is at
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
  bool quantised() const { return type == TensorType::kQ8_0 || type == TensorType::kQ4_0; }
  std::size_t element_bytes() const { return type == TensorType::kF32 ? 4 : 2; }  // of F32 and F16
  std::size_t panel_bytes() const {                                               // of Q8_0 and Q4_0
    return type == TensorType::kQ8_0 ? format::kQ8PanelBytes : format::kQ4PanelBytes;
  }
};

struct LayerWeights {
  Matrix q, k, v, o, gate, up, down;
  const float *attn_norm = nullptr, *ffn_norm = nullptr;
  const float *q_bias = nullptr, *k_bias = nullptr, *v_bias = nullptr, *o_bias = nullptr;  // null: none
  const float *q_norm = nullptr, *k_norm = nullptr;                                        // null: none
};

// y += scale * B (A x); both matrices empty where the target has no adapter.
struct AdapterPair {
  Matrix a, b;
};

// In the order of format::tensor::kAdapterTargets.
enum Target : std::size_t { kQ, kK, kV, kO, kGate, kUp, kDown, kTargets };
using LayerAdapter = std::array<AdapterPair, kTargets>;

struct LevelData {
  std::uint32_t percent = 0;
  std::vector<std::uint32_t> kv_groups, neurons;  // per layer
  std::vector<LayerAdapter> adapters;             // per layer, empty: the level has no adapter
  std::uint32_t adapter_rank = 0;
  float adapter_scale = 0;
};

struct Model {
  MappedFile file;
  GgufHeader header;
  ModelShape shape;
  Matrix embedding, output;  // output is the embedding where the head is tied
  const float* output_norm = nullptr;
  std::vector<float> pair_frequencies;  // RoPE: radians per position of each pair, head_dim / 2 of them
  std::vector<LayerWeights> layers;
  std::vector<LevelData> levels;
  bool quantised = false;  // some matrix is
};

}  // namespace elrt
