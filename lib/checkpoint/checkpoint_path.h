// From what a user names to the files of a checkpoint.
#pragma once

#include <vector>

#include "base/files.h"
#include "checkpoint/model_config.h"

namespace elastify {

struct CheckpointPath {
  enum class Kind { kHuggingFace, kLlama2c, kGguf };
  Kind kind = Kind::kHuggingFace;
  fs::path path;  // the folder, or the file

  // Hugging Face: model.safetensors, or model.safetensors.index.json where the weights are in shards.
  fs::path weights;
};

// Accepts a Hugging Face folder, a GGUF or llama2.c file, a folder with one of these, and a file of a Hugging Face
// folder (config.json, model.safetensors, tokenizer.json, ...), which stands for its folder. Choices that were made are
// added to `notes`. Throws Error(kBadData) that says what the path is instead (a PyTorch pickle, weights without
// configuration, ...) and what to give.
CheckpointPath find_checkpoint(const fs::path& given, ImportNotes& notes);

}  // namespace elastify
