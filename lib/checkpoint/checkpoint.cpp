#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/block_table.h"
#include "checkpoint/checkpoint_path.h"
#include "checkpoint/gguf_model.h"
#include "checkpoint/hf_layout.h"
#include "checkpoint/llama2c.h"
#include "gguf/gguf_file.h"

namespace elastify {
namespace {

using nlohmann::json;

StoredTensors open_shards(const fs::path& index_path, std::vector<fs::path>& files) {
  const json index = read_json(index_path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    fail_data("{}: expected an object with weight_map", index_path.string());
  }
  std::set<std::string> shards;
  for (const auto& item : index["weight_map"].items()) {
    if (!item.value().is_string()) fail_data("{}: weight_map of {} must name a file", index_path.string(), item.key());
    shards.insert(item.value().get<std::string>());
  }
  StoredTensors tensors;
  for (const auto& shard : shards) {
    if (fs::path(shard).has_parent_path())
      fail_data("{}: shard '{}' must lie in the same folder", index_path.string(), shard);
    const fs::path path = index_path.parent_path() / shard;
    files.push_back(path);
    for (auto& [name, tensor] : open_safetensors(path)) {
      if (!tensors.emplace(name, std::move(tensor)).second)
        fail_data("{}: tensor {} is also in another shard", path.string(), name);
    }
  }
  for (const auto& item : index["weight_map"].items()) {
    if (tensors.count(item.key()) == 0)
      fail_data("{}: tensor {} is in none of the shards", index_path.string(), item.key());
  }
  return tensors;
}

// Values, whatever the dtypes.
bool equal_values(const StoredTensor& a, const StoredTensor& b) {
  if (a.shape != b.shape) return false;
  const bool same_dtype = a.dtype == b.dtype;
  const bool equal =
      same_dtype ? a.bytes == b.bytes && std::memcmp(a.file->data() + a.offset, b.file->data() + b.offset, a.bytes) == 0
                 : torch::equal(a.view().to(torch::kFloat32), b.view().to(torch::kFloat32));
  for (const StoredTensor* tensor : {&a, &b}) tensor->file->release(tensor->offset, tensor->bytes);
  return equal;
}

// Tied models are stored with either or both of the two names. If both are there and differ, the head counts, as in
// transformers: the configuration is wrong, not the weights.
void unify_tied_head(StoredTensors& tensors, ModelConfig& config, const std::string& source, ImportNotes& notes) {
  if (!config.tied_embeddings) return;
  const auto embedding = tensors.find(kEmbeddingName), head = tensors.find(kHeadName);
  if (head == tensors.end()) return;
  if (embedding != tensors.end() && !equal_values(embedding->second, head->second)) {
    notes.push_back(
        fmt::format("{}: tie_word_embeddings is set, but {} differs from {}: both are kept, as transformers "
                    "does; set it to false",
                    source, kHeadName, kEmbeddingName));
    config.tied_embeddings = false;
    return;
  }
  if (embedding == tensors.end()) tensors[kEmbeddingName] = head->second;
  tensors.erase(kHeadName);
}

bool is_derived_buffer(const std::string& name) {
  const std::string suffix = "rotary_emb.inv_freq";  // old checkpoints store what config.json already says
  return name.size() >= suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

void check_tensors(const StoredTensors& tensors, const ModelConfig& config, const std::string& source) {
  std::set<std::string> wanted;
  for (const auto& [name, shape] : expected_tensors(config)) {
    wanted.insert(name);
    const auto found = tensors.find(name);
    if (found == tensors.end()) fail_data("{}: tensor {} is missing", source, name);
    if (found->second.shape != shape) {
      fail_data("{}: tensor {} has the wrong shape: expected [{}] by the configuration, found [{}]", source, name,
                fmt::join(shape, ", "), fmt::join(found->second.shape, ", "));
    }
    if (!torch::isFloatingType(found->second.dtype) || found->second.dtype == torch::kFloat64) {
      fail_data("{}: tensor {} has dtype {}: expected F32, F16 or BF16", source, name,
                safetensors_dtype(found->second.dtype));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (wanted.count(name) == 0 && !is_derived_buffer(name)) {
      fail_data("{}: tensor {} is not part of a {} model as config.json describes it", source, name,
                config.architecture);
    }
  }
}

}  // namespace

std::string block_tensor_name(std::int64_t layer, const std::string& part) {
  return fmt::format("model.layers.{}.{}", layer, part);
}

std::vector<TensorShape> expected_tensors(const ModelConfig& c) {
  const auto parts = block_tensors(c);
  const BlockWidths widths = block_widths(c);
  std::vector<TensorShape> all = {{kEmbeddingName, {c.vocab_size, c.hidden_size}}};
  for (std::int64_t layer = 0; layer < c.num_layers; ++layer) {
    for (const BlockTensor& part : parts) all.push_back({block_tensor_name(layer, part.name), part.shape(widths)});
  }
  all.push_back({kFinalNormName, {c.hidden_size}});
  if (!c.tied_embeddings) all.push_back({kHeadName, {c.vocab_size, c.hidden_size}});
  return all;
}

Checkpoint Checkpoint::open(const fs::path& path) {
  Checkpoint checkpoint;
  const CheckpointPath found = find_checkpoint(path, checkpoint.notes_);
  checkpoint.path_ = found.path;
  if (found.kind == CheckpointPath::Kind::kGguf) {
    const GgufFile file = open_gguf(found.path);
    checkpoint.path_ = file.path;
    checkpoint.files_ = file.files;
    GgufModel model = read_gguf_model(file, checkpoint.notes_);
    checkpoint.config_ = model.config;
    checkpoint.tensors_ = std::move(model.tensors);
    checkpoint.interleaved_rope_ = model.interleaved_rope;
  } else if (found.kind == CheckpointPath::Kind::kLlama2c) {
    Llama2cFile llama2c = open_llama2c(found.path);
    checkpoint.files_ = {found.path};
    checkpoint.config_ = llama2c.config;
    checkpoint.tensors_ = std::move(llama2c.tensors);
    checkpoint.interleaved_rope_ = true;
  } else {
    const fs::path config = found.path / "config.json";
    checkpoint.files_ = {config, found.weights};
    checkpoint.config_ = model_config_from_hf(read_json(config), config.string(), &checkpoint.notes_);
    checkpoint.tensors_ = found.weights.extension() == ".json" ? open_shards(found.weights, checkpoint.files_)
                                                               : open_safetensors(found.weights);
    checkpoint.tensors_ = from_hf(std::move(checkpoint.tensors_), checkpoint.config_, found.path.string());
    unify_tied_head(checkpoint.tensors_, checkpoint.config_, config.string(), checkpoint.notes_);
  }
  for (const auto& note : checkpoint.notes_) warn_once(note);
  check_tensors(checkpoint.tensors_, checkpoint.config_, checkpoint.path_.string());
  return checkpoint;
}

fs::path Checkpoint::tokenizer_dir() const {
  if (fs::is_directory(path_) || is_gguf(path_)) return path_;
  return path_.has_parent_path() ? path_.parent_path() : fs::path(".");
}

std::string Checkpoint::name() const {
  fs::path plain = (path_ / "").lexically_normal().parent_path();  // without a slash at its end
  if (plain.filename() == "." || plain.filename() == "..") plain = fs::absolute(plain).lexically_normal();
  return (plain.extension() == ".gguf" ? plain.stem() : plain.filename()).string();
}

const StoredTensor& Checkpoint::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  require(found != tensors_.end(), "checkpoint {} has no tensor {}", path_.string(), name);
  return found->second;
}

torch::ScalarType Checkpoint::dtype(const std::string& name) const { return find(name).dtype; }

std::map<std::string, std::int64_t> Checkpoint::stored_types() const {
  std::map<std::string, std::int64_t> types;
  for (const auto& [name, tensor] : tensors_) {
    if (tensor.file != nullptr) ++types[tensor.type_name()];
  }
  return types;
}

torch::Tensor Checkpoint::tensor(const std::string& name) const {
  torch::Tensor stored = find(name).view();
  const bool rotary = name.find(".q_proj.") != std::string::npos || name.find(".k_proj.") != std::string::npos;
  if (!interleaved_rope_ || !rotary) return stored;
  // Rows 2i and 2i+1 of a head turn together in llama2.c and llama.cpp; Hugging Face pairs rows i and i + head_dim/2.
  return stored.view({-1, config_.head_dim / 2, 2, stored.numel() / stored.size(0)})
      .transpose(1, 2)
      .reshape(stored.sizes());
}

torch::Tensor Checkpoint::finite_tensor(const std::string& name) const {
  const torch::Tensor stored = tensor(name);
  if (!torch::isfinite(stored).all().item<bool>()) {
    fail_data("{}: tensor {} holds NaN or infinite values: the checkpoint is damaged or was saved from a diverged run",
              path_.string(), name);
  }
  return stored;
}

void Checkpoint::release(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end() && found->second.file != nullptr)
    found->second.file->release(found->second.offset, found->second.bytes);
}

}  // namespace elastify
