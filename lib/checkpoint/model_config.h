// Dimensions of a Llama-family decoder, and how many weights its movable units hold.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "checkpoint/rope_config.h"

namespace elastify {

struct ModelConfig {
  // llama, mistral, qwen2, qwen3, smollm3, gemma3_text, phi3 (the model_type of Hugging Face)
  std::string architecture = "llama";
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;  // MLP neurons a layer
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;  // KV groups a layer
  std::int64_t head_dim = 0;
  std::int64_t max_positions = 0;   // longest context, tokens
  std::int64_t sliding_window = 0;  // position i attends to j with i - window < j <= i; 0: no window
  std::vector<bool> window_layers;  // by layer: has it the window? Empty: all have, where there is one
  std::vector<bool> rope_layers;    // by layer: do queries and keys turn? Empty: all do
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  double local_rope_theta = 0;  // of layers with the window, unscaled; 0: as the others
  std::int64_t rotary_dim = 0;  // dimensions of a head that turn, the first; 0: all
  double attention_scale = 0;   // of scores; 0: 1 / sqrt(head_dim)
  double embedding_scale = 1;   // of a token's embedding before the first block
  bool gelu = false;            // the MLP's gate passes through GELU (tanh form) instead of SiLU
  bool half_norms = false;      // Gemma: what attention and MLP add is RMS-normalised before it is added
  bool tied_embeddings = false;
  bool qkv_bias = false;
  bool output_bias = false;       // bias of o_proj
  bool qk_norm = false;           // Qwen3: RMS norm of each query and key head before RoPE
  std::string dtype = "float32";  // float32, float16, bfloat16: as stored

  bool windowed(std::int64_t layer) const {
    return sliding_window > 0 && (window_layers.empty() || window_layers[static_cast<std::size_t>(layer)]);
  }
  std::int64_t window(std::int64_t layer) const { return windowed(layer) ? sliding_window : 0; }
  bool turns(std::int64_t layer) const { return rope_layers.empty() || rope_layers[static_cast<std::size_t>(layer)]; }
  std::int64_t turned_dims() const { return rotary_dim > 0 ? rotary_dim : head_dim; }
  double score_scale() const;  // attention_scale, resolved

  std::int64_t queries_per_group() const { return num_heads / num_kv_heads; }
  // Width of one KV group's slice of the input of o_proj: its query heads side by side.
  std::int64_t group_width() const { return queries_per_group() * head_dim; }

  // Weights that leave with a unit, and those of a block that always stay (norms, the bias of o_proj): they count as
  // kept even where a level empties their half, since the file holds them for the larger levels.
  std::int64_t weights_per_group() const;
  std::int64_t weights_per_neuron() const;
  std::int64_t fixed_weights_per_block() const;
  std::int64_t weights_per_block() const;
  std::int64_t weights_outside_blocks() const;  // embedding, final norm, LM head where it is not tied

  // Throws Error(kBadData) naming `source` and the first dimension that is impossible.
  void validate(const std::string& source) const;
};

// What an import left out or decided, one line for people each.
using ImportNotes = std::vector<std::string>;

// Reads a Hugging Face config.json. Throws Error(kBadData) on an architecture or feature that is not supported. Keys
// that nothing here reads are named in `notes`, those apart that say nothing about what the model computes.
ModelConfig model_config_from_hf(const nlohmann::json& document, const std::string& source,
                                 ImportNotes* notes = nullptr);

// The config.json of a Hugging Face checkpoint with these dimensions.
nlohmann::json model_config_to_hf(const ModelConfig& config);

}  // namespace elastify
