// llama2.c float checkpoints: the legacy layout and version 1 of its export.
#pragma once

#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"

namespace elastify {

struct Llama2cFile {
  ModelConfig config;
  StoredTensors tensors;  // under Hugging Face names; RoPE pairs of q and k are still interleaved
};

// Throws Error(kBadData) if the size does not fit the header's dimensions, or on the quantised version 2.
Llama2cFile open_llama2c(const fs::path& path);

}  // namespace elastify
