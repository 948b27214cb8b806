#include "checkpoint/gguf_model.h"

#include <elrt/format.h>

#include <cstring>
#include <map>
#include <set>

#include <fmt/ranges.h>

#include "base/error.h"
#include "checkpoint/block_table.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_config.h"
#include "gguf/dequantise.h"

namespace elastify {
namespace {

namespace name = elrt::format::tensor;

constexpr std::uint32_t kF32 = 0, kF16 = 1, kBf16 = 30;  // type ids of the specification

// As bytes that torch knows, or as blocks that become float32.
StoredTensor stored(const GgufEntry& tensor, const std::string& tensor_name, const std::string& source) {
  const std::uint32_t type = tensor.layout->type;
  if (!can_dequantise(type)) {
    fail_data("{}: tensor {} is stored as {}, which is not read: expected one of {}; take the model in one of these",
              source, tensor_name, tensor.layout->name, dequantisable_types());
  }
  StoredTensor found{tensor.file, tensor.offset, tensor.bytes, torch::kFloat32, tensor.shape};
  if (type == kF16) found.dtype = torch::kFloat16;
  if (type == kBf16) found.dtype = torch::kBFloat16;
  if (type != kF32 && type != kF16 && type != kBf16) found.blocks = tensor.layout;
  return found;
}

class GgufTensors {
 public:
  GgufTensors(const GgufFile& file, GgufModel& model) : file_(file), model_(model), source_(file.path.string()) {}

  bool has(const std::string& gguf_name) const { return file_.tensors.contains(gguf_name); }

  const GgufEntry& need(const std::string& gguf_name) const {
    const auto found = file_.tensors.find(gguf_name);
    if (found == file_.tensors.end()) fail_data("{}: tensor {} is missing", source_, gguf_name);
    return found->second;
  }

  // `shape` as the file must have it; `full` with the units that it lacks.
  void take(const std::string& gguf_name, const std::string& hf_name, const std::vector<std::int64_t>& shape,
            const std::vector<std::int64_t>& full) {
    const GgufEntry& tensor = need(gguf_name);
    StoredTensor found = stored(tensor, gguf_name, source_);
    if (tensor.shape != shape) {
      fail_data("{}: tensor {} has the wrong shape: expected [{}] by the keys, found [{}]", source_, gguf_name,
                fmt::join(shape, ", "), fmt::join(tensor.shape, ", "));
    }
    found.shape = full;
    if (full != shape) found.stored_shape = shape;
    model_.tensors[hf_name] = std::move(found);
    taken_.insert(gguf_name);
  }

  // Rows of one that holds several of ours, `rows` in all.
  void take_rows(const std::string& gguf_name, const std::string& hf_name, std::int64_t first,
                 const std::vector<std::int64_t>& shape, std::int64_t rows) {
    const GgufEntry& tensor = need(gguf_name);
    const std::vector<std::int64_t> whole = {rows, shape.back()};
    StoredTensor found = stored(tensor, gguf_name, source_);
    if (tensor.shape != whole) {
      fail_data("{}: tensor {} has the wrong shape: expected [{}] by the keys, found [{}]", source_, gguf_name,
                fmt::join(whole, ", "), fmt::join(tensor.shape, ", "));
    }
    const std::size_t row = found.bytes / static_cast<std::size_t>(rows);
    found.shape = shape;
    found.offset += row * static_cast<std::size_t>(first);
    found.bytes = row * static_cast<std::size_t>(shape.front());
    model_.tensors[hf_name] = std::move(found);
    taken_.insert(gguf_name);
  }

  // One of a half that the layer lacks: nothing in the file, and nothing that it computes.
  void lack(const std::string& gguf_name, const std::string& hf_name, const std::vector<std::int64_t>& full) {
    if (has(gguf_name)) fail_data("{}: tensor {} is there, but the keys give its layer none", source_, gguf_name);
    StoredTensor nothing;
    nothing.shape = full;
    nothing.stored_shape.assign(full.size(), 0);
    model_.tensors[hf_name] = std::move(nothing);
  }

  void refuse_others(const std::string& architecture) const {
    for (const auto& [tensor_name, tensor] : file_.tensors) {
      const bool factors = tensor_name == name::kRopeFreqs || tensor_name == name::kRopeFactorsShort ||
                           tensor_name == name::kRopeFactorsLong;
      if (!taken_.contains(tensor_name) && !factors)
        fail_data("{}: tensor {} is not part of a {} model as it is known here", source_, tensor_name, architecture);
    }
  }

 private:
  const GgufFile& file_;
  GgufModel& model_;
  std::string source_;
  std::set<std::string> taken_;
};

// Phi-3's queries, keys and values lie in one tensor, gate and up in another.
void take_phi_block(GgufTensors& tensors, const GgufConfig& keys, std::int64_t layer) {
  const BlockWidths widths = block_widths(keys.config);
  const auto rows = [&](const BlockTensor& part) { return part.shape(widths).front(); };
  const auto fused = [](const BlockTensor& part) -> const char* {
    if (part.field == &BlockWeights::q || part.field == &BlockWeights::k || part.field == &BlockWeights::v)
      return name::kAttnQkv;
    return part.field == &BlockWeights::gate || part.field == &BlockWeights::up ? name::kFfnUp : nullptr;
  };
  std::map<std::string, std::int64_t> total, taken;
  for (const BlockTensor& part : block_tensors(keys.config)) {
    if (const char* whole = fused(part)) total[whole] += rows(part);
  }
  for (const BlockTensor& part : block_tensors(keys.config)) {
    const std::string hf_name = block_tensor_name(layer, part.name);
    const char* whole = fused(part);
    const std::string gguf_name = fmt::format("blk.{}.{}", layer, whole == nullptr ? part.stored.name : whole);
    if (whole == nullptr) {
      tensors.take(gguf_name, hf_name, part.shape(widths), part.shape(widths));
      continue;
    }
    tensors.take_rows(gguf_name, hf_name, taken[whole], part.shape(widths), total[whole]);
    taken[whole] += rows(part);
  }
}

void take_block(GgufTensors& tensors, const GgufConfig& keys, std::int64_t layer) {
  const auto at = static_cast<std::size_t>(layer);
  const BlockWidths full = block_widths(keys.config),
                    own = block_widths(keys.config, keys.kv_heads[at], keys.neurons[at]);
  for (const BlockTensor& part : block_tensors(keys.config)) {
    const std::string gguf_name = fmt::format("blk.{}.{}", layer, part.stored.name);
    const std::string hf_name = block_tensor_name(layer, part.name);
    const bool of_mlp = part.stored.half() == Unit::kNeuron;
    const bool lacking = (of_mlp ? keys.neurons : keys.kv_heads)[at] == 0;
    if (lacking && !(part.unit() == Unit::kNone && tensors.has(gguf_name)))
      tensors.lack(gguf_name, hf_name, part.shape(full));
    else
      tensors.take(gguf_name, hf_name, part.shape(own), part.shape(full));
  }
}

// Divisors of each pair's frequency; empty: the file has none of that name.
std::vector<float> read_factors(const GgufFile& file, const char* tensor_name, std::int64_t pairs) {
  const auto found = file.tensors.find(tensor_name);
  if (found == file.tensors.end()) return {};
  const std::string source = file.path.string();
  const GgufEntry& tensor = found->second;
  if (tensor.layout->type != kF32 || tensor.shape != std::vector<std::int64_t>{pairs}) {
    fail_data("{}: {} holds {} [{}]: expected F32 [{}], a factor for each pair of a head's dimensions that turn",
              source, tensor_name, tensor.layout->name, fmt::join(tensor.shape, ", "), pairs);
  }
  std::vector<float> factors(static_cast<std::size_t>(pairs));
  std::memcpy(factors.data(), tensor.file->data() + tensor.offset, tensor.bytes);
  return factors;
}

void read_rope_factors(const GgufFile& file, ModelConfig& config) {
  const std::string source = file.path.string();
  const std::int64_t pairs = config.turned_dims() / 2;
  const auto factors = read_factors(file, name::kRopeFreqs, pairs);
  const auto near = read_factors(file, name::kRopeFactorsShort, pairs),
             far = read_factors(file, name::kRopeFactorsLong, pairs);
  if (near.empty() != far.empty())
    fail_data("{}: only one of {} and {} is there", source, name::kRopeFactorsShort, name::kRopeFactorsLong);
  if (!near.empty() && config.architecture != "phi3")
    fail_data("{}: {} of architecture {} is not supported", source, name::kRopeFactorsShort, file.architecture());
  const bool several = static_cast<int>(!factors.empty()) + static_cast<int>(!near.empty()) +
                           static_cast<int>(config.rope_scaling.kind != RopeScaling::Kind::kNone) >
                       1;
  if (several)
    fail_data("{}: a linear scaling, {} and {} exclude each other", source, name::kRopeFreqs, name::kRopeFactorsShort);
  if (!factors.empty()) config.rope_scaling = scaling_from_factors(factors, config.rope_theta, source);
  if (near.empty() && config.rope_scaling.magnitude != 1)
    fail_data("{}: rope.scaling.attn_factor {} without {} is not supported", source, config.rope_scaling.magnitude,
              name::kRopeFactorsLong);
  if (near.empty()) return;
  config.rope_scaling.kind = RopeScaling::Kind::kLongRope;
  config.rope_scaling.short_factors.assign(near.begin(), near.end());
  config.rope_scaling.long_factors.assign(far.begin(), far.end());
}

// What only the tensors say.
void read_features(const GgufTensors& tensors, const GgufFile& file, GgufConfig& keys) {
  ModelConfig& config = keys.config;
  const std::string source = file.path.string();
  const GgufEntry& embedding = tensors.need(name::kTokenEmbedding);
  if (embedding.shape.size() != 2)
    fail_data("{}: {} has {} dimensions, expected 2", source, name::kTokenEmbedding, embedding.shape.size());
  config.vocab_size = embedding.shape[0];
  const auto stated = elrt::gguf::find_integer(file.metadata, file.architecture() + ".vocab_size");
  if (stated && *stated != config.vocab_size) {
    fail_data("{}: {}.vocab_size is {}, but {} has {} rows", source, file.architecture(), *stated,
              name::kTokenEmbedding, config.vocab_size);
  }
  config.tied_embeddings = !tensors.has(name::kOutput);
  const auto in_some_layer = [&](const char* part) {
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
      if (tensors.has(fmt::format("blk.{}.{}", layer, part))) return true;
    }
    return false;
  };
  config.qkv_bias = config.architecture == "qwen2" || in_some_layer(name::kAttnQBias);
  config.output_bias = in_some_layer(name::kAttnOutputBias);
}

// The dtype that all matrices share; float32 where they are of several or quantised.
std::string common_dtype(const StoredTensors& tensors) {
  std::set<std::string> found;
  for (const auto& [tensor_name, tensor] : tensors) {
    if (tensor.shape.size() > 1 && tensor.file)
      found.insert(tensor.blocks != nullptr           ? "float32"
                   : tensor.dtype == torch::kFloat16  ? "float16"
                   : tensor.dtype == torch::kBFloat16 ? "bfloat16"
                                                      : "float32");
  }
  return found.size() == 1 ? *found.begin() : "float32";
}

}  // namespace

GgufModel read_gguf_model(const GgufFile& file, ImportNotes& notes) {
  GgufConfig keys = gguf_config(file, notes);
  GgufModel model;
  GgufTensors tensors(file, model);
  read_features(tensors, file, keys);
  keys.config.validate(file.path.string());  // what reading the factors relies on
  read_rope_factors(file, keys.config);
  keys.config.validate(file.path.string());
  const std::vector<std::int64_t> table = {keys.config.vocab_size, keys.config.hidden_size},
                                  norm = {keys.config.hidden_size};
  tensors.take(name::kTokenEmbedding, kEmbeddingName, table, table);
  tensors.take(name::kOutputNorm, kFinalNormName, norm, norm);
  if (!keys.config.tied_embeddings) tensors.take(name::kOutput, kHeadName, table, table);
  for (std::int64_t layer = 0; layer < keys.config.num_layers; ++layer) {
    if (keys.config.architecture == "phi3")
      take_phi_block(tensors, keys, layer);
    else
      take_block(tensors, keys, layer);
  }
  tensors.refuse_others(file.architecture());
  model.config = keys.config;
  model.config.dtype = common_dtype(model.tensors);
  model.interleaved_rope = keys.interleaved_rope;
  return model;
}

}  // namespace elastify
