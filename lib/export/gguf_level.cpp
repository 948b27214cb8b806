#include "export/gguf_level.h"

#include <elrt/format.h>
#include <elrt/gguf.hpp>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "export/gguf_family.h"
#include "export/gguf_tokenizer.h"
#include "export/gguf_types.h"
#include "export/level_tensors.h"
#include "pack/gguf_header.h"

namespace elastify {
namespace {

namespace name = elrt::format::tensor;
using elrt::gguf::Metadata;

constexpr std::uint64_t kAlignment = 32;  // what readers take where a file says nothing
constexpr std::uint32_t kQuantisationVersion = 2;

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

// Of layers of one width. llama.cpp's qwen2 takes all heads together to be as wide as the model, which they no longer
// are where a level has lost some; deci has the same biases and knows the heads' width.
std::string plain_architecture(const ModelConfig& config, const ExportShape& shape) {
  if (config.architecture == "mistral") return "llama";
  const std::int64_t queries = shape.written.kv_groups.front() * config.group_width();
  return config.architecture == "qwen2" && queries != config.hidden_size ? "deci" : config.architecture;
}

// Chooses the architecture and gives `shape` the zeros that it needs.
std::string choose_architecture(const ExportOptions& options, const LevelFacts& facts, ExportSummary& summary) {
  ExportShape& shape = summary.shape;
  if (const std::string own = own_architecture(facts.config); !own.empty()) {
    shape_for_family(options, facts, shape, summary.notes);
    return own;
  }
  shape = shape_of(facts.widths);
  if (!shape.one_width() && facts.config.qk_norm)
    pad_for(options, facts,
            "llama.cpp's deci, which has layers of different widths, knows no norms of queries and keys", shape,
            summary.notes);
  if (shape.one_width()) return plain_architecture(facts.config, shape);
  constexpr std::int64_t kFewNeurons = 32;
  for (std::int64_t& neurons : shape.written.neurons) {
    if (neurons == 0) neurons = std::min(kFewNeurons, facts.config.intermediate_size);
  }
  // llama.cpp takes the first layer's heads for those of a model that has any.
  if (shape.written.kv_groups.front() == 0) shape.written.kv_groups.front() = 1;
  return shape.one_width() ? plain_architecture(facts.config, shape) : "deci";
}

void refuse_what_llama_cpp_lacks(const std::string& architecture, const LevelFacts& facts) {
  const bool qwen = architecture == "qwen2" || architecture == "qwen3";
  if (qwen && facts.rope_factors.defined() && facts.config.rope_scaling.kind != RopeScaling::Kind::kLinear)
    fail_usage("llama.cpp's {} does not scale rotary frequencies one by one: export with --format hf", architecture);
  if (qwen && facts.config.output_bias)
    fail_usage("llama.cpp's {} has no bias after the attention: export with --format hf", architecture);
}

void add_rope(const LevelFacts& facts, const std::string& prefix, Metadata& m) {
  m[prefix + "rope.dimension_count"] = u32(facts.config.head_dim);
  m[prefix + "rope.freq_base"] = static_cast<float>(facts.config.rope_theta);
  if (facts.config.rope_scaling.kind != RopeScaling::Kind::kLinear) return;
  m[prefix + "rope.scaling.type"] = std::string("linear");
  m[prefix + "rope.scaling.factor"] = static_cast<float>(facts.config.rope_scaling.factor);
}

void add_widths(const LevelFacts& facts, const ExportShape& shape, const std::string& prefix, Metadata& m) {
  const std::int64_t queries = facts.config.queries_per_group();
  std::vector<std::uint32_t> heads, groups, neurons;
  for (const auto count : shape.written.kv_groups) groups.push_back(u32(count)), heads.push_back(u32(count * queries));
  for (const auto count : shape.written.neurons) neurons.push_back(u32(count));
  const auto put = [&](const char* key, const std::vector<std::uint32_t>& counts) {
    if (shape.one_width())
      m[prefix + key] = counts.front();
    else
      m[prefix + key] = counts;
  };
  put("attention.head_count", heads), put("attention.head_count_kv", groups), put("feed_forward_length", neurons);
}

Metadata make_metadata(const LevelFacts& facts, const GgufType& type, ExportSummary& summary) {
  const ModelConfig& c = facts.config;
  const std::string prefix = summary.architecture + ".";
  Metadata m;
  m["general.architecture"] = summary.architecture;
  m["general.type"] = std::string("model");
  m["general.name"] = fmt::format("{} level {}", facts.name, facts.level);
  m["general.file_type"] = type.file_type;
  if (type.weights > 1) m["general.quantization_version"] = kQuantisationVersion;
  std::int64_t context = c.max_positions;
  if (c.sliding_window > 0 && c.window_layers.empty() && c.sliding_window < context) {
    context = c.sliding_window;
    summary.notes.push_back(
        fmt::format("llama.cpp gives {} no sliding window: the context ends where the window does, at {} tokens",
                    summary.architecture, context));
  }
  m[prefix + "context_length"] = u32(context);
  m[prefix + "block_count"] = u32(summary.shape.count());
  m[prefix + "embedding_length"] = u32(c.hidden_size);
  m[prefix + "vocab_size"] = u32(c.vocab_size);
  m[prefix + "attention.key_length"] = u32(c.head_dim);
  m[prefix + "attention.value_length"] = u32(c.head_dim);
  m[prefix + "attention.layer_norm_rms_epsilon"] = static_cast<float>(c.rms_norm_eps);
  add_widths(facts, summary.shape, prefix, m);
  add_rope(facts, prefix, m);
  if (!own_architecture(c).empty()) add_family_keys(c, prefix, m);
  add_gguf_tokenizer(facts, m, summary.notes);
  return m;
}

// llama.cpp's llama and deci turn dimension 2i of a head with 2i + 1, where checkpoints turn i with i + width / 2.
torch::Tensor interleaved(const torch::Tensor& rows, std::int64_t head_dim) {
  auto shape = rows.sizes().vec();
  const std::int64_t heads = shape[0] / head_dim;
  std::vector<std::int64_t> halves = {heads, 2, head_dim / 2};
  halves.insert(halves.end(), shape.begin() + 1, shape.end());
  return rows.reshape(halves).transpose(1, 2).reshape(shape);
}

struct Planned {
  GgufInfo info;
  std::function<torch::Tensor()> make;  // its bytes
};

class TensorList {
 public:
  TensorList(const LevelTensors& tensors, const std::string& architecture, const GgufType& type)
      : tensors_(tensors), facts_(tensors.source.facts()), type_(type) {
    const bool turns_pairs = architecture == "llama" || architecture == "deci" || architecture == "smollm3";
    add_whole(name::kTokenEmbedding, kEmbeddingName);
    if (turns_pairs && facts_.rope_factors.defined() && facts_.config.rope_scaling.kind != RopeScaling::Kind::kLinear)
      add(name::kRopeFreqs, {facts_.config.head_dim / 2}, [this] { return facts_.rope_factors; });
    const RopeScaling& scaling = facts_.config.rope_scaling;
    if (scaling.kind == RopeScaling::Kind::kLongRope) {
      add_factors(name::kRopeFactorsShort, scaling.short_factors);
      add_factors(name::kRopeFactorsLong, scaling.long_factors);
    }
    for (std::int64_t layer = 0; layer < tensors.shape.count(); ++layer) add_block(layer, turns_pairs);
    add(name::kOutputNorm, {facts_.config.hidden_size},
        [this] { return tensors_.source.model_tensor(kFinalNormName); });
    if (!facts_.config.tied_embeddings) add_whole(name::kOutput, kHeadName);
  }

  const std::vector<Planned>& all() const { return all_; }
  std::int64_t weights() const { return weights_; }
  // How many matrices have rows that the type's blocks do not divide.
  std::int64_t fallen_back() const { return fallen_back_; }

 private:
  using Make = std::function<torch::Tensor()>;

  void add(const std::string& target, std::vector<std::int64_t> shape, const Make& make) {
    const GgufType& wanted = shape.size() == 1 ? gguf_type("f32") : type_;
    const GgufType& type = type_for_rows(wanted, shape.back());
    fallen_back_ += type.type == wanted.type ? 0 : 1;
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    weights_ += count;
    all_.push_back(
        {{target, type.type, std::move(shape), static_cast<std::uint64_t>(count / type.weights * type.bytes)},
         [make, &type, target] { return to_gguf_bytes(make(), type, target); }});
  }

  void add_factors(const char* target, const std::vector<double>& factors) {
    add(target, {static_cast<std::int64_t>(factors.size())},
        [factors] { return torch::tensor(factors, torch::kFloat32); });
  }

  // 8 bits where the blocks have 4: a row of the embedding or the head is a token, not an average over many.
  void add_whole(const char* target, const std::string& source) {
    const std::vector<std::int64_t> shape = {facts_.config.vocab_size, facts_.config.hidden_size};
    const GgufType& type = type_for_rows(type_.bytes == 18 ? gguf_type("q8_0") : type_, facts_.config.hidden_size);
    fallen_back_ += type_.weights > 1 && type.weights == 1 ? 1 : 0;
    const std::int64_t count = shape[0] * shape[1];
    weights_ += count;
    all_.push_back(
        {{target, type.type, shape, static_cast<std::uint64_t>(count / type.weights * type.bytes)},
         [this, target, source, &type] { return to_gguf_bytes(tensors_.source.model_tensor(source), type, target); }});
  }

  // Of the same file's tensor as the part before it: Phi-3 multiplies by several at once.
  static const char* fused_name(const ModelConfig& config, const BlockTensor& part) {
    if (config.architecture != "phi3") return part.stored.name;
    if (part.field == &BlockWeights::q || part.field == &BlockWeights::k || part.field == &BlockWeights::v)
      return name::kAttnQkv;
    return part.field == &BlockWeights::gate ? name::kFfnUp : part.stored.name;
  }

  void add_block(std::int64_t layer, bool turns_pairs) {
    const auto index = static_cast<std::size_t>(layer);
    const LevelWidths& written = tensors_.shape.written;
    const BlockWidths widths = block_widths(facts_.config, written.kv_groups[index], written.neurons[index]);
    std::vector<std::pair<std::string, std::vector<BlockTensor>>> wanted;
    for (const BlockTensor& part : block_tensors(facts_.config)) {
      if (!widths.keeps(part.stored.half())) continue;
      const std::string target = fmt::format("blk.{}.{}", layer, fused_name(facts_.config, part));
      if (wanted.empty() || wanted.back().first != target) wanted.push_back({target, {}});
      wanted.back().second.push_back(part);
    }
    for (const auto& [target, parts] : wanted) {
      std::vector<std::int64_t> shape = parts.front().shape(widths);
      for (std::size_t i = 1; i < parts.size(); ++i) shape.front() += parts[i].shape(widths).front();
      add(target, shape, [this, layer, turns_pairs, parts = parts] {
        std::vector<torch::Tensor> values;
        for (const BlockTensor& part : parts) values.push_back(values_of(layer, part, turns_pairs));
        return values.size() == 1 ? values.front() : torch::cat(values);
      });
    }
  }

  torch::Tensor values_of(std::int64_t layer, const BlockTensor& part, bool turns_pairs) const {
    const torch::Tensor tensor = tensors_.block(layer, part);
    const bool turned = turns_pairs && (part.field == &BlockWeights::q || part.field == &BlockWeights::k ||
                                        part.field == &BlockWeights::q_bias || part.field == &BlockWeights::k_bias);
    return turned ? interleaved(tensor, facts_.config.head_dim) : tensor;
  }

  LevelTensors tensors_;
  const LevelFacts& facts_;
  const GgufType& type_;
  std::vector<Planned> all_;
  std::int64_t weights_ = 0, fallen_back_ = 0;
};

void write_file_of(const fs::path& path, const Metadata& metadata, const std::vector<Planned>& tensors) {
  std::vector<GgufInfo> infos;
  std::uint64_t total = 0;
  for (const Planned& tensor : tensors) infos.push_back(tensor.info), total += tensor.info.bytes;
  AtomicFile file(path);
  const std::string header = gguf_header(metadata, infos, kAlignment);
  file.write(header.data(), header.size());
  Progress progress("export", static_cast<std::int64_t>(total), "bytes");
  std::uint64_t done = 0;
  for (const Planned& tensor : tensors) {
    stop_if_interrupted();
    const torch::Tensor bytes = tensor.make();
    require(static_cast<std::uint64_t>(bytes.numel()) == tensor.info.bytes,
            "export: tensor {} has {} bytes, announced {}", tensor.info.name, bytes.numel(), tensor.info.bytes);
    file.write(bytes.data_ptr(), tensor.info.bytes);
    const std::string padding(gguf_aligned(tensor.info.bytes, kAlignment) - tensor.info.bytes, '\0');
    file.write(padding.data(), padding.size());
    progress.update(static_cast<std::int64_t>(done += tensor.info.bytes));
  }
  file.commit();
}

std::string gguf_dtype(const ExportOptions& options, const LevelFacts& facts) {
  return options.dtype == "same" ? facts.dtype : options.dtype;
}

}  // namespace

ExportSummary write_gguf_level(const LevelSource& source, const ExportOptions& options, bool merge,
                               const fs::path& file) {
  const LevelFacts& facts = source.facts();
  ExportSummary summary;
  summary.dtype = gguf_dtype(options, facts);
  const GgufType& type = gguf_type(summary.dtype);
  summary.architecture = choose_architecture(options, facts, summary);
  refuse_what_llama_cpp_lacks(summary.architecture, facts);
  const Metadata metadata = make_metadata(facts, type, summary);
  const TensorList list({source, summary.shape, merge}, summary.architecture, type);
  summary.weights = list.weights();
  if (list.fallen_back() > 0)
    summary.notes.push_back(fmt::format("{} matrices are f16: blocks of {} weights of {} do not divide their rows",
                                        list.fallen_back(), type.weights, type.name));
  write_file_of(file, metadata, list.all());
  return summary;
}

}  // namespace elastify
