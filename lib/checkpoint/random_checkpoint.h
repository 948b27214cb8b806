// Random-weight checkpoints of any shape, for tests and benchmarks.
#pragma once

#include "base/files.h"
#include "checkpoint/model_config.h"

namespace elastify {

// Writes `directory` as a Hugging Face checkpoint: config.json, model.safetensors in config.dtype, and a byte-level
// tokenizer.json of 256 byte tokens, BOS and EOS where the vocabulary has room for them. Matrices are drawn from
// N(0, 1/inputs), the embedding from N(0, 1), norms are 1: activations keep their size from layer to layer. Streams
// tensor by tensor; equal seeds give equal bytes. Throws Error(kBadData) on dtypes other than float32, float16,
// bfloat16.
void write_random_checkpoint(const ModelConfig& config, std::uint64_t seed, const fs::path& directory);

}  // namespace elastify
