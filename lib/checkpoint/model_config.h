// Dimensions of a Llama-family decoder, and how many weights its movable units hold.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "checkpoint/rope_config.h"

namespace elastify {

struct ModelConfig {
  std::string architecture = "llama";  // llama, mistral, qwen2, qwen3 (the model_type of Hugging Face)
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;  // MLP neurons a layer
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;  // KV groups a layer
  std::int64_t head_dim = 0;
  std::int64_t max_positions = 0;   // longest context, tokens
  std::int64_t sliding_window = 0;  // position i attends to j with i - window < j <= i; 0: no window
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool tied_embeddings = false;
  bool qkv_bias = false;
  bool output_bias = false;       // bias of o_proj
  bool qk_norm = false;           // Qwen3: RMS norm of each query and key head before RoPE
  std::string dtype = "float32";  // float32, float16, bfloat16: as stored

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
