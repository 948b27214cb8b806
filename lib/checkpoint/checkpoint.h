// A checkpoint as named, mapped tensors: Hugging Face directories, GGUF and llama2.c files look the same once opened.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"

namespace elastify {

// Hugging Face names: "model.embed_tokens.weight", "model.layers.3.self_attn.q_proj.weight", ...
std::string block_tensor_name(std::int64_t layer, const std::string& part);
inline const std::string kEmbeddingName = "model.embed_tokens.weight";
inline const std::string kFinalNormName = "model.norm.weight";
inline const std::string kHeadName = "lm_head.weight";

// Name and shape of every tensor that `config` needs, in the order of a forward pass. A tied head is not listed.
struct TensorShape {
  std::string name;
  std::vector<std::int64_t> shape;
};
std::vector<TensorShape> expected_tensors(const ModelConfig& config);

class Checkpoint {
 public:
  // A Hugging Face directory (config.json next to model.safetensors or model.safetensors.index.json), a GGUF file (any
  // part of a split one), a llama2.c float file (legacy or version 1), or a directory that holds one such file (more in
  // checkpoint_path.h). Weights stay on disk. What was ignored or decided is warned about, once in a process.
  // Throws Error(kBadData) where something is missing, damaged, of the wrong shape or not supported.
  static Checkpoint open(const fs::path& path);

  const fs::path& path() const { return path_; }
  std::string name() const;  // of the folder or file, for people
  const ImportNotes& notes() const { return notes_; }
  const ModelConfig& config() const { return config_; }
  // Every file that makes up the model, tokenizer files apart: what a content hash must cover.
  const std::vector<fs::path>& files() const { return files_; }
  // Directory in which the tokenizer's files lie; of a model in GGUF, which holds its tokenizer, the file itself.
  fs::path tokenizer_dir() const;
  // How many tensors are stored as "F32", "Q4_K", ...
  std::map<std::string, std::int64_t> stored_types() const;

  // As stored: a view of the mapped file. Blocks of GGUF's quantised types are computed as float32, and rows of q and k
  // that lie in llama2.c's or llama.cpp's order are copied into Hugging Face's, again at each call. Throws
  // Error(kInternal) for a name that expected_tensors() does not list.
  torch::Tensor tensor(const std::string& name) const;
  torch::ScalarType dtype(const std::string& name) const;  // of tensor(name)
  // The same, after checking every value. Throws Error(kBadData) on NaN or infinity, naming the tensor.
  torch::Tensor finite_tensor(const std::string& name) const;
  // Gives the tensor's pages back to the system: for streaming through checkpoints larger than memory.
  void release(const std::string& name) const;

 private:
  fs::path path_;
  ModelConfig config_;
  std::vector<fs::path> files_;
  ImportNotes notes_;
  StoredTensors tensors_;
  bool interleaved_rope_ = false;
  const StoredTensor& find(const std::string& name) const;
};

}  // namespace elastify
