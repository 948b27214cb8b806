#include "checkpoint/hf_layout.h"

#include <cstring>
#include <utility>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "checkpoint/checkpoint.h"

namespace elastify {
namespace {

// Ours after "model.layers.N.", and theirs.
using Names = std::vector<std::pair<const char*, const char*>>;

// Gemma calls what follows the attention "post_attention", and what Llama calls so "pre_feedforward".
const Names kGemmaNames = {{"self_attn.added_norm.weight", "post_attention_layernorm.weight"},
                           {"post_attention_layernorm.weight", "pre_feedforward_layernorm.weight"},
                           {"mlp.added_norm.weight", "post_feedforward_layernorm.weight"}};
// Phi-3 multiplies by queries, keys and values at once, and by gate and up.
const Names kPhiNames = {{"self_attn.q_proj.weight", "self_attn.qkv_proj.weight"},
                         {"self_attn.k_proj.weight", "self_attn.qkv_proj.weight"},
                         {"self_attn.v_proj.weight", "self_attn.qkv_proj.weight"},
                         {"mlp.gate_proj.weight", "mlp.gate_up_proj.weight"},
                         {"mlp.up_proj.weight", "mlp.gate_up_proj.weight"}};

const char* family_name(const ModelConfig& config, const char* ours) {
  static const Names none;
  const Names& names = config.architecture == "gemma3_text" ? kGemmaNames
                       : config.architecture == "phi3"      ? kPhiNames
                                                            : none;
  for (const auto& [name, theirs] : names) {
    if (std::strcmp(name, ours) == 0) return theirs;
  }
  return ours;
}

std::int64_t rows_of(const ModelTensor& tensor, const ModelConfig& config) {
  return tensor.part->shape(block_widths(config)).front();
}

StoredTensor rows_from(const StoredTensor& whole, std::int64_t first, std::int64_t count) {
  StoredTensor part = whole;
  const auto row = whole.bytes / static_cast<std::size_t>(whole.shape.front());
  part.offset += static_cast<std::size_t>(first) * row;
  part.bytes = static_cast<std::size_t>(count) * row;
  part.shape.front() = count;
  return part;
}

void split(const HfTensor& theirs, const StoredTensor& whole, const ModelConfig& config, const std::string& source,
           StoredTensors& found) {
  std::int64_t rows = 0;
  for (const ModelTensor& part : theirs.parts) rows += rows_of(part, config);
  if (whole.shape.size() != 2 || whole.shape.front() != rows) {
    fail_data("{}: tensor {} has the wrong shape: expected [{}, {}] by the configuration, found [{}]", source,
              theirs.name, rows, config.hidden_size, fmt::join(whole.shape, ", "));
  }
  std::int64_t first = 0;
  for (const ModelTensor& part : theirs.parts) {
    const std::int64_t count = rows_of(part, config);
    found[part.name] = rows_from(whole, first, count);
    first += count;
  }
}

}  // namespace

std::vector<HfTensor> hf_tensors(const ModelConfig& config) {
  const bool gemma = config.architecture == "gemma3_text";
  std::vector<HfTensor> all = {{kEmbeddingName, {{kEmbeddingName}}}};
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    for (const BlockTensor& entry : block_table()) {
      if (!entry.wanted(config)) continue;
      const ModelTensor ours{block_tensor_name(layer, entry.name), layer, &entry};
      const std::string theirs = block_tensor_name(layer, family_name(config, entry.name));
      if (all.back().name == theirs)
        all.back().parts.push_back(ours);
      else
        all.push_back({theirs, {ours}, gemma && entry.stored.kind == elrt::format::TensorKind::kNorm});
    }
  }
  all.push_back({kFinalNormName, {{kFinalNormName}}, gemma});
  if (!config.tied_embeddings) all.push_back({kHeadName, {{kHeadName}}});
  return all;
}

StoredTensors from_hf(StoredTensors stored, const ModelConfig& config, const std::string& source) {
  StoredTensors found;
  for (const HfTensor& theirs : hf_tensors(config)) {
    auto node = stored.extract(theirs.name);
    if (node.empty()) {
      if (theirs.parts.size() == 1 && theirs.parts.front().name == theirs.name) continue;  // missed under that name
      fail_data("{}: tensor {} is missing", source, theirs.name);
    }
    StoredTensor& tensor = node.mapped();
    if (theirs.less_one) tensor.less_one = std::exchange(tensor.dtype, torch::kFloat32);
    if (theirs.parts.size() > 1)
      split(theirs, tensor, config, source, found);
    else
      found[theirs.parts.front().name] = std::move(tensor);
  }
  for (auto& [name, tensor] : stored) {
    if (!found.emplace(name, std::move(tensor)).second)
      fail_data("{}: tensor {} is there, but so is the one that a {} model has in its place", source, name,
                config.architecture);
  }
  return found;
}

void write_hf_weights(const fs::path& file, const ModelConfig& config,
                      const std::function<torch::ScalarType(const ModelTensor&)>& dtype,
                      const std::function<torch::Tensor(const ModelTensor&)>& make,
                      const std::function<void(const ModelTensor&)>& done, const std::string& what) {
  const auto tensors = hf_tensors(config);
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (auto& [name, shape] : expected_tensors(config)) shapes[name] = shape;
  std::vector<SafetensorsWriter::Entry> entries;
  for (const HfTensor& theirs : tensors) {
    std::vector<std::int64_t> shape = shapes.at(theirs.parts.front().name);
    for (std::size_t i = 1; i < theirs.parts.size(); ++i) shape.front() += shapes.at(theirs.parts[i].name).front();
    entries.push_back({theirs.name, dtype(theirs.parts.front()), shape});
  }
  SafetensorsWriter writer(file, entries, {{"format", "pt"}});
  Progress progress(what, static_cast<std::int64_t>(tensors.size()), "tensors");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    stop_if_interrupted();
    std::vector<torch::Tensor> parts;
    for (const ModelTensor& part : tensors[i].parts) parts.push_back(make(part));
    torch::Tensor values = parts.size() == 1 ? parts.front() : torch::cat(parts);
    if (tensors[i].less_one) values = (values.to(torch::kFloat32) - 1).to(entries[i].dtype);
    writer.write(values);
    for (const ModelTensor& part : tensors[i].parts) done(part);
    progress.update(static_cast<std::int64_t>(i) + 1);
  }
  writer.commit();
}

}  // namespace elastify
