#include "pretrain/flat_model.h"

#include <ATen/CPUGeneratorImpl.h>

#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"
#include "base/hash.h"

namespace elastify {
namespace {

// A model's tensors under their Hugging Face names, in the order of expected_tensors().
std::vector<torch::Tensor*> slots(ModelWeights& weights) {
  std::vector<torch::Tensor*> all = {&weights.embedding};
  for (auto& block : weights.blocks) {
    for (const BlockTensor& part : block_tensors(weights.config)) all.push_back(&(block.*part.field));
  }
  all.push_back(&weights.final_norm);
  return all;
}

std::vector<std::string> slot_names(const ModelConfig& config) {
  std::vector<std::string> names = {kEmbeddingName};
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    for (const BlockTensor& part : block_tensors(config)) names.push_back(block_tensor_name(layer, part.name));
  }
  names.push_back(kFinalNormName);
  return names;
}

FlatBuffer buffer_of(const TensorShape& shape) {
  return shape.shape.size() == 1 ? kNormBuffer : shape.name == kEmbeddingName ? kEmbeddingBuffer : kMatrixBuffer;
}

std::vector<std::int64_t> shape_of(const std::vector<TensorShape>& shapes, const std::string& name) {
  for (const auto& shape : shapes) {
    if (shape.name == name) return shape.shape;
  }
  require(false, "no tensor {} in this configuration", name);
  return {};
}

void initialise(torch::Tensor& tensor, const std::string& name, std::uint64_t seed) {
  if (tensor.dim() == 1) {
    tensor.fill_(1);
    return;
  }
  if (name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight")) {
    tensor.zero_();
    return;
  }
  const double deviation = name == kEmbeddingName ? 0.02 : 1 / std::sqrt(3 * static_cast<double>(tensor.size(1)));
  auto generator = at::detail::createCPUGenerator(derive_seed(seed, name));
  tensor.copy_(torch::empty(tensor.sizes()).normal_(0, deviation, generator));
}

}  // namespace

std::vector<torch::Tensor> FlatModel::matrices() const {
  std::vector<torch::Tensor> all;
  for (const auto& block : weights.blocks) {
    for (const BlockTensor& part : block_matrices()) all.push_back(block.*part.field);
  }
  return all;
}

std::int64_t FlatModel::weight_count() const {
  std::int64_t count = 0;
  for (const auto& buffer : values) count += buffer.numel();
  return count;
}

namespace {

// Leaves that view the model's buffers, in the order of slots().
void view_buffers(FlatModel& model) {
  const ModelConfig& config = model.weights.config;
  const auto names = slot_names(config);
  const auto shapes = expected_tensors(config);
  std::array<std::int64_t, 3> used{};
  const auto tensors = slots(model.weights);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto shape = shape_of(shapes, names[i]);
    const std::size_t buffer = buffer_of({names[i], shape});
    const std::int64_t size = c10::multiply_integers(shape);
    torch::Tensor& tensor = *tensors[i];
    tensor = model.values[buffer].narrow(0, used[buffer], size).view(shape).detach();
    tensor.requires_grad_();
    tensor.mutable_grad() = model.gradients[buffer].narrow(0, used[buffer], size).view(shape).detach();
    used[buffer] += size;
  }
  model.weights.head = model.weights.embedding;
}

}  // namespace

FlatModel make_flat_model(const ModelConfig& config, std::uint64_t seed, torch::Device device) {
  require(config.tied_embeddings && !config.qkv_bias && !config.qk_norm,
          "only the plain Llama architecture with tied embeddings is trained");
  torch::NoGradGuard no_grad;
  FlatModel model;
  model.weights.config = config;
  model.weights.blocks.resize(static_cast<std::size_t>(config.num_layers));
  std::array<std::int64_t, 3> sizes{};
  for (const auto& shape : expected_tensors(config)) sizes[buffer_of(shape)] += c10::multiply_integers(shape.shape);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    model.values[i] = torch::zeros({sizes[i]}, torch::TensorOptions().device(device));
    model.gradients[i] = torch::zeros_like(model.values[i]);
  }
  view_buffers(model);
  const auto names = slot_names(config);
  const auto tensors = slots(model.weights);
  for (std::size_t i = 0; i < names.size(); ++i) {
    torch::Tensor values = tensors[i]->detach();
    initialise(values, names[i], seed);
  }
  return model;
}

FlatModel share_values(const FlatModel& model) {
  torch::NoGradGuard no_grad;
  FlatModel shared;
  shared.weights.config = model.weights.config;
  shared.weights.blocks.resize(model.weights.blocks.size());
  shared.values = model.values;
  for (std::size_t i = 0; i < shared.values.size(); ++i) shared.gradients[i] = torch::zeros_like(shared.values[i]);
  view_buffers(shared);
  return shared;
}

void copy_weights(const Checkpoint& checkpoint, FlatModel& model) {
  torch::NoGradGuard no_grad;
  const ModelConfig &found = checkpoint.config(), &wanted = model.weights.config;
  if (!found.tied_embeddings || found.qkv_bias || found.qk_norm)
    fail_usage("init: expected a plain Llama checkpoint with tied embeddings, as pretrain writes it");
  if (found.rope_theta != wanted.rope_theta || found.head_dim != wanted.head_dim) {
    fail_usage("init: expected rope_theta {} and head_dim {}, as the settings say, found {} and {}", wanted.rope_theta,
               wanted.head_dim, found.rope_theta, found.head_dim);
  }
  ModelWeights source = load_weights(checkpoint, torch::kCPU, torch::kFloat32);
  const auto names = slot_names(model.weights.config);
  const auto from = slots(source), to = slots(model.weights);
  if (from.size() != to.size())
    fail_usage("init: expected {} layers, found {}", model.weights.blocks.size(), source.blocks.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (from[i]->sizes() != to[i]->sizes()) {
      fail_usage("init: {}: expected shape [{}], as the settings say, found [{}]", names[i],
                 fmt::join(to[i]->sizes().vec(), ", "), fmt::join(from[i]->sizes().vec(), ", "));
    }
    to[i]->detach().copy_(*from[i]);
  }
}

void write_model(const FlatModel& model, const nlohmann::json& hf_config, const fs::path& directory) {
  torch::NoGradGuard no_grad;
  const std::string& dtype_name = model.weights.config.dtype;
  const auto dtype = dtype_name == "bfloat16"  ? torch::kBFloat16
                     : dtype_name == "float16" ? torch::kFloat16
                                               : torch::kFloat32;
  const auto names = slot_names(model.weights.config);
  ModelWeights weights = model.weights;
  const auto tensors = slots(weights);
  std::map<std::string, torch::Tensor> stored;
  for (std::size_t i = 0; i < names.size(); ++i) stored[names[i]] = tensors[i]->detach().to(torch::kCPU, dtype);
  write_safetensors(directory / "model.safetensors", stored, {{"format", "pt"}});
  write_json(directory / "config.json", hf_config);
}

}  // namespace elastify
