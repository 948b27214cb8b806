// The validated model: pointers into the mapping plus per-level counts. Built once when the artifact opens.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/format.h"
#include "format/gguf_reader.hpp"
#include "format/mapped_file.hpp"
#include "model/tlm_weights.hpp"

namespace elrt {

struct LayerWeights {
  Matrix q, k, v, o, gate, up, down;
  const float *attn_norm = nullptr, *ffn_norm = nullptr;
  const float *q_bias = nullptr, *k_bias = nullptr, *v_bias = nullptr, *o_bias = nullptr;  // null: none
  const float *q_norm = nullptr, *k_norm = nullptr;                                        // null: none
  const float *attn_post_norm = nullptr, *ffn_post_norm = nullptr;                         // null: none
};

// y += scale * B (A x); both matrices empty where the target has no adapter.
struct AdapterPair {
  Matrix a;
  Columns b;
};

// In the order of format::tensor::kAdapterTargets.
enum Target : std::size_t { kQ, kK, kV, kO, kGate, kUp, kDown, kTargets };
using LayerAdapter = std::array<AdapterPair, kTargets>;

struct LevelData {
  std::uint32_t percent = 0;
  std::vector<std::uint32_t> kv_groups, neurons;  // per layer
  std::vector<LayerAdapter> adapters;             // per layer, empty: the level has no adapter
  bool adapter_shared = false;                    // they are views of the model's shared adapter
  std::uint32_t adapter_rank = 0;
  float adapter_scale = 0;
  std::uint64_t bytes_per_token = 0;  // see LevelView
};

// One adapter that several levels use, of the full model's widths.
struct SharedAdapter {
  std::uint32_t rank = 0;            // 0: none
  std::vector<LayerAdapter> layers;  // as the file has them
};

struct Model {
  MappedFile file;
  GgufHeader header;
  ModelShape shape;
  Matrix embedding, output;  // output is the embedding where the head is tied
  const float* output_norm = nullptr;
  // RoPE: radians per position of each pair, rotary_dim / 2 of them; those of texts beyond original_context and of
  // layers with a window where they differ, else empty.
  std::vector<float> pair_frequencies, long_frequencies, local_frequencies;
  std::vector<LayerWeights> layers;
  std::vector<LevelData> levels;
  SharedAdapter shared_adapter;
  bool quantised = false;  // some matrix is that reads activations in eight bits
  bool bf16 = false;       // some matrix is that may read them in bfloat16
  std::optional<TlmModel> tlm = std::nullopt;
};

}  // namespace elrt
