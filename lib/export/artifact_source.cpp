// A level from an artifact: matrices as a reader of the file sees them, quantised ones made floats again.
#include <elrt/format.h>
#include <elrt/artifact.hpp>
#include <elrt/tokenizer.hpp>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/runtime_result.h"
#include "export/artifact_tensor.h"
#include "export/level_source.h"
#include "export/rope_factors.h"

namespace elastify {
namespace {

namespace name = elrt::format::tensor;
using elrt::Artifact;
using elrt::TensorInfo;

const TensorInfo& need(const Artifact& artifact, const std::string& tensor) {
  const TensorInfo* found = artifact.find_tensor(tensor);
  if (found == nullptr) fail_data("{}: tensor {} is missing", artifact.path().string(), tensor);
  return *found;
}

bool in_block(const Artifact& artifact, const char* part) {
  return artifact.find_tensor(std::string("blk.0.") + part) != nullptr;
}

// Files do not name the family: what they hold tells it.
std::string family_of(const ModelConfig& config) {
  if (config.half_norms) return "gemma3_text";
  if (!config.rope_layers.empty()) return "smollm3";
  if (config.rotary_dim > 0 || config.rope_scaling.kind == RopeScaling::Kind::kLongRope) return "phi3";
  if (config.qk_norm) return "qwen3";
  if (config.sliding_window > 0) return "mistral";
  return config.qkv_bias && !config.output_bias ? "qwen2" : "llama";
}

std::vector<bool> flags(const std::vector<std::uint32_t>& layers) { return {layers.begin(), layers.end()}; }

// What only some families have.
void read_family(const Artifact& artifact, ModelConfig& config) {
  const elrt::ModelShape& shape = artifact.shape();
  config.window_layers = flags(shape.window_layers), config.rope_layers = flags(shape.rope_layers);
  if (shape.rotary_dim != shape.head_dim) config.rotary_dim = shape.rotary_dim;
  config.local_rope_theta = shape.local_rope_base;
  config.gelu = shape.activation == elrt::Activation::kGeluTanh;
  config.half_norms = in_block(artifact, name::kAttnPostNorm);
  // A square root of a whole number, as float32 has it.
  const auto exact_root = [](float root) { return std::sqrt(std::round(static_cast<double>(root) * root)); };
  if (shape.embedding_scale != 1) config.embedding_scale = exact_root(shape.embedding_scale);
  if (artifact.metadata().contains(elrt::format::key::kAttentionScale)) config.attention_scale = shape.attention_scale;
}

// Texts of different lengths turn by different divisors.
RopeScaling longrope_of(const Artifact& artifact) {
  const elrt::ModelShape& shape = artifact.shape();
  RopeScaling scaling;
  if (shape.original_context == 0) return scaling;
  scaling.kind = RopeScaling::Kind::kLongRope;
  scaling.original_max_positions = shape.original_context;
  scaling.magnitude = shape.rope_magnitude;
  const auto read = [&](const char* tensor) {
    const torch::Tensor values = read_vector(need(artifact, tensor), shape.rotary_dim / 2);
    return std::vector<double>(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
  };
  scaling.short_factors = read(name::kRopeFactorsShort), scaling.long_factors = read(name::kRopeFactorsLong);
  return scaling;
}

ModelConfig config_of(const Artifact& artifact) {
  const elrt::ModelShape& shape = artifact.shape();
  ModelConfig config;
  config.vocab_size = shape.vocab, config.hidden_size = shape.hidden;
  config.intermediate_size = shape.ffn, config.num_layers = shape.blocks;
  config.num_heads = shape.heads, config.num_kv_heads = shape.kv_heads, config.head_dim = shape.head_dim;
  config.max_positions = shape.context, config.sliding_window = shape.sliding_window;
  config.rms_norm_eps = shape.rms_epsilon, config.rope_theta = shape.rope_base;
  config.tied_embeddings = artifact.find_tensor(name::kOutput) == nullptr;
  config.qkv_bias = in_block(artifact, name::kAttnQBias);
  config.output_bias = in_block(artifact, name::kAttnOutputBias);
  config.qk_norm = in_block(artifact, name::kAttnQNorm);
  read_family(artifact, config);
  config.rope_scaling = longrope_of(artifact);
  config.architecture = family_of(config);
  config.validate(artifact.path().string());
  return config;
}

std::string dtype_word(elrt::TensorType type) {
  std::string word = elrt::type_name(type);
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  return word;
}

class ArtifactSource : public LevelSource {
 public:
  ArtifactSource(const fs::path& path, std::int64_t level)
      : artifact_(take(Artifact::open(path))), info_(take(artifact_.level(static_cast<std::uint32_t>(level)))) {
    facts_.path = path;
    const auto* named = elrt::gguf::find<std::string>(artifact_.metadata(), "general.name");
    facts_.name = named == nullptr ? path.stem().string() : *named;
    facts_.artifact = true;
    facts_.dtype = dtype_word(need(artifact_, std::string("blk.0.") + name::kFfnGate).type);
    facts_.config = config_of(artifact_);
    facts_.level = level;
    facts_.widths = {{info_.kv_groups.begin(), info_.kv_groups.end()}, {info_.neurons.begin(), info_.neurons.end()}};
    facts_.tokenizer = take(artifact_.tokenizer())->spec();
    if (const auto* text = elrt::gguf::find<std::string>(artifact_.metadata(), "tokenizer.chat_template"))
      facts_.chat_template = *text;
    if (const TensorInfo* factors = artifact_.find_tensor(name::kRopeFreqs)) {
      facts_.rope_factors = read_vector(*factors, facts_.config.turned_dims() / 2);
      facts_.config.rope_scaling = scaling_of(facts_.config, facts_.rope_factors);
    }
    if (info_.adapter_rank > 0) facts_.adapter = read_adapter();
  }

  torch::Tensor model_tensor(const std::string& wanted) const override {
    const ModelConfig& c = facts_.config;
    if (wanted == kFinalNormName) return read_vector(need(artifact_, name::kOutputNorm), c.hidden_size);
    const char* stored = wanted == kEmbeddingName ? name::kTokenEmbedding : name::kOutput;
    return read_matrix(need(artifact_, stored), c.vocab_size, c.hidden_size, StoredAs::kRows);
  }

  torch::Tensor block_tensor(std::int64_t layer, const BlockTensor& part) const override {
    const TensorInfo& stored = need(artifact_, fmt::format("blk.{}.{}", layer, part.stored.name));
    const auto shape = part.shape(block_widths(facts_.config));
    const torch::Tensor whole = part.matrix() ? read_matrix(stored, shape[0], shape[1],
                                                            part.stored.by_input() ? StoredAs::kTiles : StoredAs::kRows)
                                              : read_vector(stored, shape[0]);
    if (part.unit() == Unit::kNone) return whole;
    const auto index = static_cast<std::size_t>(layer);
    const BlockWidths kept = block_widths(facts_.config, facts_.widths.kv_groups[index], facts_.widths.neurons[index]);
    return whole.narrow(part.unit_dimension(), 0, part.unit_extent(kept));
  }

 private:
  Adapter read_adapter() const {
    const auto rank = static_cast<std::int64_t>(info_.adapter_rank);
    Adapter adapter{rank, info_.adapter_scale, 0, {}};
    adapter.blocks.resize(static_cast<std::size_t>(facts_.config.num_layers));
    const LevelWidths widths = info_.adapter_shared ? full_widths(facts_.config) : facts_.widths;
    const std::string owner = info_.adapter_shared ? name::kSharedAdapter : std::to_string(facts_.level);
    for (std::size_t layer = 0; layer < adapter.blocks.size(); ++layer) {
      const BlockWidths of_layer = block_widths(facts_.config, widths.kv_groups[layer], widths.neurons[layer]);
      for (std::size_t target = 0; target < adapter.blocks[layer].size(); ++target) {
        const BlockTensor& matrix = block_matrices()[target];
        const std::string base = fmt::format("adapter.{}.blk.{}.{}", owner, layer, name::kAdapterTargets[target]);
        const TensorInfo* a = artifact_.find_tensor(base + name::kLoraA);
        if (a == nullptr) continue;
        const auto shape = matrix.shape(of_layer);
        const StoredAs stored = matrix.stored.by_input() ? StoredAs::kTiles : StoredAs::kRows;
        adapter.blocks[layer][target] = {
            read_adapter_matrix(*a, rank, shape[1], stored),
            read_matrix(need(artifact_, base + name::kLoraB), shape[0], rank, StoredAs::kColumns)};
      }
    }
    return info_.adapter_shared ? slice_adapter(adapter, facts_.config, facts_.widths) : adapter;
  }

  Artifact artifact_;
  elrt::LevelInfo info_;
};

}  // namespace

std::unique_ptr<LevelSource> open_artifact_level(const fs::path& artifact, std::int64_t level) {
  return std::make_unique<ArtifactSource>(artifact, level);
}

}  // namespace elastify
