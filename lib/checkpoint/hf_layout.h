// How Hugging Face's files of a family hold a model's tensors: under names of their own, several of ours in one, or
// less a constant. Ours are those of Llama (checkpoint.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "checkpoint/block_table.h"
#include "checkpoint/safetensors.h"

namespace elastify {

// One of our tensors; outside the blocks `layer` is -1 and `part` null.
struct ModelTensor {
  std::string name;
  std::int64_t layer = -1;
  const BlockTensor* part = nullptr;
};

struct HfTensor {
  std::string name;
  std::vector<ModelTensor> parts;  // on top of each other
  bool less_one = false;           // Gemma's norms: the file holds w - 1
};

// Every tensor of a checkpoint of this configuration, in the order of a forward pass.
std::vector<HfTensor> hf_tensors(const ModelConfig& config);

// The tensors of a Hugging Face checkpoint under our names, as views. Those that the family does not know keep theirs.
// Throws Error(kBadData), naming `source` and the tensor, on one that cannot be split as the configuration says.
StoredTensors from_hf(StoredTensors stored, const ModelConfig& config, const std::string& source);

// Writes model.safetensors a tensor at a time. `dtype` and `make` give the dtype and the values of one of our tensors,
// `done` is told when it has been written; `what` names the work in the progress. Throws as SafetensorsWriter does.
void write_hf_weights(const fs::path& file, const ModelConfig& config,
                      const std::function<torch::ScalarType(const ModelTensor&)>& dtype,
                      const std::function<torch::Tensor(const ModelTensor&)>& make,
                      const std::function<void(const ModelTensor&)>& done, const std::string& what);

}  // namespace elastify
