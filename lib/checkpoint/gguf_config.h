// The dimensions of a model in GGUF, from its keys.
#pragma once

#include <vector>

#include "checkpoint/model_config.h"
#include "gguf/gguf_file.h"

namespace elastify {

struct GgufConfig {
  // Of the widest layer. Which biases there are, whether the head is tied, the vocabulary's size and the stored dtype
  // are the tensors' to say (gguf_model.h).
  ModelConfig config;
  std::vector<std::int64_t> kv_heads, neurons;  // by layer; 0: the layer has no such half
  bool interleaved_rope = false;                // rows 2i and 2i + 1 of a query or key head turn together
};

// Architectures: llama (Mistral's files call themselves so too), qwen2, qwen3, smollm3, gemma3, phi3, and deci, whose
// layers may lack halves. Others, mixtures of experts, scalings other than linear and whatever key asks for another
// computation are refused by name; keys of the architecture that nothing reads go into `notes`. Throws
// Error(kBadData).
GgufConfig gguf_config(const GgufFile& file, ImportNotes& notes);

// Llama 3's scaling travels as factors, one for each pair of a head's dimensions, by which frequencies are divided.
// The settings that give these factors to float32's precision; kNone where all are 1. Throws Error(kBadData) where no
// setting does.
RopeScaling scaling_from_factors(const std::vector<float>& factors, double theta, const std::string& source);

}  // namespace elastify
