#include "pack/pack.h"

#include <elrt/format.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "model/decoder.h"
#include "pack/gguf_writer.h"

namespace elastify {
namespace {

namespace key = elrt::format::key;
namespace name = elrt::format::tensor;
using elrt::gguf::Metadata;

template <typename T, typename Source>
std::vector<T> convert(const std::vector<Source>& values) {
  return {values.begin(), values.end()};
}

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

torch::ScalarType parse_dtype(const std::string& word, const std::string& same) {
  return (word == "same" ? same : word) == "f16" ? torch::kFloat16 : torch::kFloat32;
}

torch::Tensor to_dtype(const torch::Tensor& tensor, torch::ScalarType dtype, const std::string& tensor_name) {
  const torch::Tensor converted = tensor.to(dtype);
  if (dtype == torch::kFloat16 && !torch::isfinite(converted).all().item<bool>()) {
    fail_data("tensor {} holds values beyond float16's range of 65504: pack with dtype f32", tensor_name);
  }
  return converted;
}

Metadata shape_metadata(const ModelConfig& c) {
  Metadata m;
  m[key::kArchitectureName] = std::string(elrt::format::kArchitecture);
  m[key::kBlockCount] = u32(c.num_layers);
  m[key::kContextLength] = u32(c.max_positions);
  m[key::kEmbeddingLength] = u32(c.hidden_size);
  m[key::kFeedForwardLength] = u32(c.intermediate_size);
  m[key::kVocabSize] = u32(c.vocab_size);
  m[key::kHeadCount] = u32(c.num_heads);
  m[key::kHeadCountKv] = u32(c.num_kv_heads);
  m[key::kKeyLength] = u32(c.head_dim);
  m[key::kValueLength] = u32(c.head_dim);
  m[key::kRmsEpsilon] = static_cast<float>(c.rms_norm_eps);
  m[key::kRopeFreqBase] = static_cast<float>(c.rope_theta);
  if (c.sliding_window > 0) m[key::kSlidingWindow] = u32(c.sliding_window);
  return m;
}

void add_plan(Metadata& m, const PackInputs& inputs) {
  std::vector<std::uint32_t> levels, groups, neurons, adapter_levels, ranks;
  std::vector<float> block_ratios, total_ratios, before, after, scales;
  for (const auto& level : inputs.plan.levels) {
    levels.push_back(u32(level.level));
    for (const auto count : level.widths.kv_groups) groups.push_back(u32(count));
    for (const auto count : level.widths.neurons) neurons.push_back(u32(count));
    block_ratios.push_back(static_cast<float>(level.block_ratio));
    total_ratios.push_back(static_cast<float>(level.total_ratio));
    const auto losses = inputs.losses.find(level.level);
    constexpr float kNotMeasured = std::numeric_limits<float>::quiet_NaN();
    before.push_back(losses == inputs.losses.end() ? kNotMeasured : static_cast<float>(losses->second.before));
    after.push_back(losses == inputs.losses.end() ? kNotMeasured : static_cast<float>(losses->second.after));
  }
  for (const auto& [level, adapter] : inputs.adapters) {
    adapter_levels.push_back(u32(level));
    ranks.push_back(u32(adapter.rank));
    scales.push_back(static_cast<float>(adapter.scale));
  }
  m[key::kLevels] = levels;
  m[key::kPlanKvGroups] = groups;
  m[key::kPlanNeurons] = neurons;
  m[key::kAnchors] = convert<std::uint32_t>(inputs.plan.anchors);
  m[key::kBlockRatio] = block_ratios;
  m[key::kTotalRatio] = total_ratios;
  m[key::kLossBefore] = before;
  m[key::kLossAfter] = after;
  m[key::kAdapterLevels] = adapter_levels;
  m[key::kAdapterRank] = ranks;
  m[key::kAdapterScale] = scales;
}

Metadata make_metadata(const PackInputs& inputs) {
  Metadata m = shape_metadata(inputs.reordered.config());
  m["general.name"] = inputs.name;
  m[key::kFormatVersionNumber] = elrt::format::kFormatVersion;
  m[key::kRopePairing] = std::string(elrt::format::kRopePairingHalves);
  m[key::kTileInputCount] = elrt::format::kTileInputs;
  m[key::kTiledTensors] = std::vector<std::string>(std::begin(elrt::format::kTiledSuffixes), std::end(elrt::format::kTiledSuffixes));
  m[key::kChecksumAlgorithm] = std::string(elrt::format::kChecksumXxh3);
  add_plan(m, inputs);
  for (const auto& [what, hash] : inputs.sources) m["elastic.source." + what] = hash;
  m.merge(elrt::tokenizer_metadata(inputs.tokenizer));
  return m;
}

// Lists the artifact's tensors in the order in which a forward pass reads them.
class TensorList {
 public:
  TensorList(const Checkpoint& checkpoint, const PackConfig& settings) : checkpoint_(checkpoint), settings_(settings) {}

  void add(const std::string& target, const std::string& source, torch::ScalarType dtype) {
    add_made(target, dtype, checkpoint_.tensor(source).sizes().vec(), [this, target, source, dtype] {
      torch::Tensor made = to_dtype(checkpoint_.finite_tensor(source), dtype, target);
      // A view keeps its pages; a converted copy no longer needs them.
      if (made.scalar_type() != checkpoint_.tensor(source).scalar_type()) checkpoint_.release(source);
      return made;
    });
  }
  void add_tiled(const std::string& target, const std::string& source, torch::ScalarType dtype) {
    const auto sizes = checkpoint_.tensor(source).sizes().vec();  // a copy: the tensor is gone after this line
    const std::int64_t tile = elrt::format::kTileInputs;
    add_made(target, dtype, {(sizes[1] + tile - 1) / tile, sizes[0], tile}, [this, target, source, dtype] {
      torch::Tensor made = tile_inputs(to_dtype(checkpoint_.finite_tensor(source), dtype, target));
      checkpoint_.release(source);
      return made;
    });
  }
  void add_made(const std::string& target, torch::ScalarType dtype, std::vector<std::int64_t> shape, std::function<torch::Tensor()> make) {
    tensors_.push_back({target, dtype, std::move(shape), std::move(make)});
  }

  void add_model() {
    const ModelConfig& c = checkpoint_.config();
    add(name::kTokenEmbedding, kEmbeddingName, parse_dtype(settings_.embedding_dtype, settings_.dtype));
    if (c.rope_scaling.kind != RopeScaling::Kind::kNone) add_rope_factors(c);
    for (std::int64_t layer = 0; layer < c.num_layers; ++layer) add_block(layer);
    add(name::kOutputNorm, kFinalNormName, torch::kFloat32);
    if (!c.tied_embeddings) add(name::kOutput, kHeadName, parse_dtype(settings_.head_dtype, settings_.dtype));
  }

  const std::vector<GgufTensor>& all() const { return tensors_; }

 private:
  void add_rope_factors(const ModelConfig& c) {
    ModelConfig plain = c;
    plain.rope_scaling = {};
    const torch::Tensor factors = (rotary_frequencies(plain) / rotary_frequencies(c)).to(torch::kFloat32);
    add_made(name::kRopeFreqs, torch::kFloat32, {c.head_dim / 2}, [factors] { return factors; });
  }

  void add_block(std::int64_t layer) {
    const ModelConfig& c = checkpoint_.config();
    const torch::ScalarType dtype = parse_dtype(settings_.dtype, settings_.dtype);
    const auto to = [&](const char* part) { return fmt::format("blk.{}.{}", layer, part); };
    const auto from = [&](const char* part) { return block_tensor_name(layer, part); };
    add(to(name::kAttnNorm), from("input_layernorm.weight"), torch::kFloat32);
    add(to(name::kAttnQ), from("self_attn.q_proj.weight"), dtype);
    add(to(name::kAttnK), from("self_attn.k_proj.weight"), dtype);
    add(to(name::kAttnV), from("self_attn.v_proj.weight"), dtype);
    if (c.qkv_bias) {
      add(to(name::kAttnQBias), from("self_attn.q_proj.bias"), torch::kFloat32);
      add(to(name::kAttnKBias), from("self_attn.k_proj.bias"), torch::kFloat32);
      add(to(name::kAttnVBias), from("self_attn.v_proj.bias"), torch::kFloat32);
    }
    if (c.qk_norm) {
      add(to(name::kAttnQNorm), from("self_attn.q_norm.weight"), torch::kFloat32);
      add(to(name::kAttnKNorm), from("self_attn.k_norm.weight"), torch::kFloat32);
    }
    add_tiled(to(name::kAttnOutput), from("self_attn.o_proj.weight"), dtype);
    if (c.output_bias) add(to(name::kAttnOutputBias), from("self_attn.o_proj.bias"), torch::kFloat32);
    add(to(name::kFfnNorm), from("post_attention_layernorm.weight"), torch::kFloat32);
    add(to(name::kFfnGate), from("mlp.gate_proj.weight"), dtype);
    add(to(name::kFfnUp), from("mlp.up_proj.weight"), dtype);
    add_tiled(to(name::kFfnDown), from("mlp.down_proj.weight"), dtype);
  }

  const Checkpoint& checkpoint_;
  const PackConfig& settings_;
  std::vector<GgufTensor> tensors_;
};

struct Extents {
  std::int64_t inputs, outputs;
};

Extents target_extents(const ModelConfig& c, Target target, std::int64_t groups, std::int64_t neurons) {
  switch (target) {
    case Target::kQ: return {c.hidden_size, groups * c.group_width()};
    case Target::kK:
    case Target::kV: return {c.hidden_size, groups * c.head_dim};
    case Target::kO: return {groups * c.group_width(), c.hidden_size};
    case Target::kGate:
    case Target::kUp: return {c.hidden_size, neurons};
    case Target::kDown: return {neurons, c.hidden_size};
  }
  fail(ErrorCode::kInternal, "unknown adapter target");
}

void add_adapter(TensorList& list, const ModelConfig& config, const LevelPlan& level, const Adapter& adapter) {
  for (std::size_t layer = 0; layer < adapter.blocks.size(); ++layer) {
    for (std::size_t target = 0; target < adapter.blocks[layer].size(); ++target) {
      const LoraPair& pair = adapter.blocks[layer][target];
      if (!pair.defined()) continue;
      const Extents fits = target_extents(config, static_cast<Target>(target), level.widths.kv_groups[layer], level.widths.neurons[layer]);
      const std::vector<std::int64_t> a_shape = {adapter.rank, fits.inputs}, b_shape = {fits.outputs, adapter.rank};
      if (pair.a.sizes().vec() != a_shape || pair.b.sizes().vec() != b_shape) {
        fail_data("the adapter of level {} does not fit layer {} {}: expected A [{}] and B [{}], found [{}] and [{}]; run finetune again",
                  level.level, layer, kTargetNames[target], fmt::join(a_shape, ", "), fmt::join(b_shape, ", "),
                  fmt::join(pair.a.sizes().vec(), ", "), fmt::join(pair.b.sizes().vec(), ", "));
      }
      const std::string base = fmt::format("adapter.{}.blk.{}.{}", level.level, layer, name::kAdapterTargets[target]);
      const auto half = [](const torch::Tensor& tensor, const std::string& where) {
        return [tensor, where] { return to_dtype(tensor, torch::kFloat16, where); };
      };
      list.add_made(base + name::kLoraA, torch::kFloat16, a_shape, half(pair.a, base));
      list.add_made(base + name::kLoraB, torch::kFloat16, b_shape, half(pair.b, base));
    }
  }
}

}  // namespace

torch::Tensor tile_inputs(const torch::Tensor& matrix) {
  const std::int64_t tile = elrt::format::kTileInputs, outputs = matrix.size(0), inputs = matrix.size(1);
  const std::int64_t tiles = (inputs + tile - 1) / tile;
  const torch::Tensor padded = torch::constant_pad_nd(matrix, {0, tiles * tile - inputs});
  return padded.view({outputs, tiles, tile}).transpose(0, 1).contiguous();
}

void write_artifact(const fs::path& path, const PackInputs& inputs, const PackConfig& settings) {
  torch::NoGradGuard no_grad;
  const ModelConfig& config = inputs.reordered.config();
  const auto tokens = static_cast<std::int64_t>(inputs.tokenizer.tokens.size());
  if (tokens > config.vocab_size) {
    fail_data("the tokenizer has {} tokens, the checkpoint's vocabulary {}: they do not belong together", tokens, config.vocab_size);
  }
  TensorList list(inputs.reordered, settings);
  list.add_model();
  for (const auto& [level, adapter] : inputs.adapters) add_adapter(list, config, inputs.plan.at(level), adapter);
  std::int64_t total_bytes = 0;
  for (const auto& tensor : list.all()) {
    std::int64_t bytes = static_cast<std::int64_t>(torch::elementSize(tensor.dtype));
    for (const auto extent : tensor.shape) bytes *= extent;
    total_bytes += bytes;
  }
  Progress progress("pack", total_bytes, "bytes");
  write_gguf(path, make_metadata(inputs), list.all(), [&](std::int64_t done) { progress.update(done); });
}

}  // namespace elastify
