// A trainable model whose weights lie in three buffers, so that clipping, AdamW and checkpoints touch three tensors
// instead of hundreds: the blocks' matrices, the embedding, and the norms, which weight decay leaves alone.
#pragma once

#include <array>

#include "model/weights.h"

namespace elastify {

enum FlatBuffer : std::size_t { kMatrixBuffer, kEmbeddingBuffer, kNormBuffer };
inline constexpr std::array<const char*, 3> kBufferNames = {"matrices", "embedding", "norms"};

struct FlatModel {
  ModelWeights weights;                    // float32 leaves that view `values`; their gradients view `gradients`
  std::array<torch::Tensor, 3> values;     // by FlatBuffer, [weights] each
  std::array<torch::Tensor, 3> gradients;  // likewise; backward() adds to them, callers set them to zero

  std::vector<torch::Tensor> matrices() const;  // of all blocks
  std::int64_t weight_count() const;
};

// Norms are 1, the embedding N(0, 0.02^2), matrices N(0, 1 / (3 inputs)), and those that write to the residual stream
// zero, so that every block begins as the identity (Zhang et al. 2019). Equal seeds, equal weights. Tied embeddings
// only.
FlatModel make_flat_model(const ModelConfig& config, std::uint64_t seed, torch::Device device);

// Copies the weights of `checkpoint` into the model. Throws Error(kUsage) where shapes, rotation or architecture
// differ.
void copy_weights(const Checkpoint& checkpoint, FlatModel& model);

// The same weights, gradients of its own: for passes that run side by side.
FlatModel share_values(const FlatModel& model);

// A Hugging Face checkpoint without tokenizer in `directory`: config.json and model.safetensors in config.dtype.
void write_model(const FlatModel& model, const nlohmann::json& hf_config, const fs::path& directory);

}  // namespace elastify
