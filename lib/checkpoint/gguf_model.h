// A model in GGUF under the names of Hugging Face.
#pragma once

#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"
#include "gguf/gguf_file.h"

namespace elastify {

struct GgufModel {
  ModelConfig config;
  StoredTensors tensors;          // Hugging Face's names; layers narrower than the widest are filled up with zero units
  bool interleaved_rope = false;  // rows of q and k, and their biases, as llama.cpp orders them
};

// Throws Error(kBadData), naming the tensor, on one that is missing, has another shape than the keys say, is stored in
// a type that is not read, or belongs to no model of that architecture.
GgufModel read_gguf_model(const GgufFile& file, ImportNotes& notes);

}  // namespace elastify
