#include "pack/pack.h"

#include <elrt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "model/decoder.h"
#include "pack/float_layout.h"
#include "pack/gguf_writer.h"
#include "quantise/quantise.h"

namespace elastify {
namespace {

namespace key = elrt::format::key;
namespace name = elrt::format::tensor;
using elrt::TensorType;
using elrt::gguf::Metadata;

template <typename T, typename Source>
std::vector<T> convert(const std::vector<Source>& values) {
  return {values.begin(), values.end()};
}

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

// Of embedding or head, where the blocks are `blocks`: rounded to four bits they cost far more than the bytes saved.
TensorType outer_dtype(const std::string& word, const std::string& blocks) {
  const bool four_bits = blocks == "iq4_nl" || blocks == "q4_0";
  if (word == "auto") return type_of(four_bits ? "q8_0" : blocks);
  return type_of(word == "same" ? blocks : word);
}

void check_wider(const PackConfig& settings) {
  for (const std::string& matrix : settings.wider) {
    if (std::count(std::begin(kTargetNames), std::end(kTargetNames), matrix) == 0)
      fail_usage("pack.wider: expected names of {}, found '{}'", fmt::join(kTargetNames, ", "), matrix);
  }
}

torch::Tensor to_float(const torch::Tensor& tensor, TensorType type, const std::string& tensor_name) {
  const torch::Tensor converted = tensor.to(float_type_of(type));
  const bool may_overflow = converted.scalar_type() != tensor.scalar_type() && type != TensorType::kF32;
  if (may_overflow && !torch::isfinite(converted).all().item<bool>()) {
    fail_data("tensor {} holds values beyond {}: pack with dtype {}", tensor_name,
              type == TensorType::kF16 ? "float16's range of 65504" : "bfloat16's range of 3.39e38",
              type == TensorType::kF16 ? "f32 or bf16" : "f32");
  }
  return converted;
}

MadeTensor to_panels(const torch::Tensor& matrix, TensorType type, PanelOrder order, const std::string& tensor_name,
                     const MatrixGuide& guide) {
  const QuantisedMatrix made =
      quantise_matrix(matrix.to(torch::kFloat32).contiguous(), type, order, tensor_name, guide);
  return {made.bytes, static_cast<float>(made.relative_rms_error)};
}

std::vector<std::uint32_t> flags(const std::vector<bool>& layers) { return {layers.begin(), layers.end()}; }

// What only some families have; true: this one has none of it.
bool add_family(Metadata& m, const ModelConfig& c) {
  const std::size_t before = m.size();
  if (c.turned_dims() != c.head_dim) m[key::kRopeDimensions] = u32(c.turned_dims());
  if (c.local_rope_theta > 0) m[key::kRopeFreqBaseLocal] = static_cast<float>(c.local_rope_theta);
  if (c.rope_scaling.kind == RopeScaling::Kind::kLongRope) {
    m[key::kRopeOriginalContext] = u32(c.rope_scaling.original_max_positions);
    m[key::kRopeMagnitude] = static_cast<float>(c.rope_scaling.magnitude);
  }
  if (!c.rope_layers.empty()) m[key::kRopeLayers] = flags(c.rope_layers);
  if (!c.window_layers.empty()) m[key::kWindowLayers] = flags(c.window_layers);
  if (c.attention_scale > 0) m[key::kAttentionScale] = static_cast<float>(c.attention_scale);
  if (c.embedding_scale != 1) m[key::kEmbeddingScale] = static_cast<float>(c.embedding_scale);
  if (c.gelu) m[key::kActivation] = std::string(elrt::format::kActivationGeluTanh);
  return m.size() == before && !c.half_norms;
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
  const bool plain = add_family(m, c);
  m[key::kFormatVersionNumber] = plain ? elrt::format::kPlainFormatVersion : elrt::format::kFamilyFormatVersion;
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

void add_shared_adapter(Metadata& m, const SharedAdapter& shared) {
  std::vector<std::uint32_t> levels;
  std::vector<float> scales;
  for (const auto& [level, scale] : shared.scales) {
    levels.push_back(u32(level));
    scales.push_back(static_cast<float>(scale));
  }
  m[key::kSharedAdapterLevels] = levels;
  m[key::kSharedAdapterRank] = u32(shared.adapter.rank);
  m[key::kSharedAdapterScale] = scales;
}

Metadata make_metadata(const PackInputs& inputs) {
  Metadata m = shape_metadata(inputs.reordered.config());
  m["general.name"] = inputs.name;
  m[key::kRopePairing] = std::string(elrt::format::kRopePairingHalves);
  m[key::kTileInputCount] = elrt::format::kTileInputs;
  m[key::kChecksumAlgorithm] = std::string(elrt::format::kChecksumXxh3);
  add_plan(m, inputs);
  if (inputs.shared_adapter) add_shared_adapter(m, *inputs.shared_adapter);
  if (inputs.tlm != nullptr) add_tlm_metadata(m, *inputs.tlm);
  for (const auto& [what, hash] : inputs.sources) m["elastic.source." + what] = hash;
  m.merge(elrt::tokenizer_metadata(inputs.tokenizer));
  return m;
}

// Lists the artifact's tensors in the order in which a forward pass reads them.
class TensorList {
 public:
  // Gives the guide of the matrix when its turn comes.
  using Guide = std::function<MatrixGuide()>;

  TensorList(const Checkpoint& checkpoint, const PackConfig& settings, const RoundingText* rounding)
      : checkpoint_(checkpoint), settings_(settings) {
    if (rounding == nullptr) return;
    guides_.emplace(
        checkpoint.config(), checkpoint.finite_tensor(kEmbeddingName), *rounding,
        [&checkpoint](std::int64_t layer) { return load_block(checkpoint, layer, torch::kCPU, torch::kFloat32); });
  }

  void add(const std::string& target, const std::string& source, TensorType type, const Guide& guide = {}) {
    if (elrt::is_quantised(type)) return add_panels(target, source, type, PanelOrder::kRows, guide);
    add_made(target, type, checkpoint_.tensor(source).sizes().vec(), [this, target, source, type] {
      torch::Tensor made = to_float(checkpoint_.finite_tensor(source), type, target);
      // A view keeps its pages; a converted copy no longer needs them.
      if (made.scalar_type() != checkpoint_.tensor(source).scalar_type()) checkpoint_.release(source);
      return MadeTensor{made};
    });
  }
  void add_tiled(const std::string& target, const std::string& source, TensorType type, const Guide& guide) {
    if (elrt::is_quantised(type)) return add_panels(target, source, type, PanelOrder::kTiles, guide);
    const auto sizes = checkpoint_.tensor(source).sizes().vec();  // a copy: the tensor is gone after this line
    const std::int64_t tile = elrt::format::kTileInputs;
    add_made(target, type, {(sizes[1] + tile - 1) / tile, sizes[0], tile}, [this, target, source, type] {
      torch::Tensor made = tile_inputs(to_float(checkpoint_.finite_tensor(source), type, target));
      checkpoint_.release(source);
      return MadeTensor{made};
    });
  }
  void add_panels(const std::string& target, const std::string& source, TensorType type, PanelOrder order,
                  const Guide& guide) {
    const auto sizes = checkpoint_.tensor(source).sizes().vec();
    add_made(target, type, panel_shape(sizes[0], sizes[1], order), [this, target, source, type, order, guide] {
      MadeTensor made =
          to_panels(checkpoint_.finite_tensor(source), type, order, target, guide ? guide() : MatrixGuide{});
      checkpoint_.release(source);
      return made;
    });
  }
  void add_made(const std::string& target, TensorType type, std::vector<std::int64_t> shape,
                std::function<MadeTensor()> make) {
    tensors_.push_back({target, type, std::move(shape), std::move(make)});
  }

  void add_model() {
    const ModelConfig& c = checkpoint_.config();
    add(name::kTokenEmbedding, kEmbeddingName, outer_dtype(settings_.embedding_dtype, settings_.dtype));
    if (c.rope_scaling.kind != RopeScaling::Kind::kNone) add_rope_factors(c);
    for (std::int64_t layer = 0; layer < c.num_layers; ++layer) add_block(layer);
    add(name::kOutputNorm, kFinalNormName, TensorType::kF32);
    if (!c.tied_embeddings) add(name::kOutput, kHeadName, outer_dtype(settings_.head_dtype, settings_.dtype));
  }

  const std::vector<WrittenTensor>& all() const { return tensors_; }

 private:
  void add_rope_factors(const ModelConfig& c) {
    ModelConfig plain = c;
    plain.rope_scaling = {};
    const auto add_factors = [&](const char* target, RotarySet set) {
      const torch::Tensor factors = (rotary_frequencies(plain) / rotary_frequencies(c, set)).to(torch::kFloat32);
      add_made(target, TensorType::kF32, {c.turned_dims() / 2}, [factors] { return MadeTensor{factors}; });
    };
    if (c.rope_scaling.kind != RopeScaling::Kind::kLongRope) return add_factors(name::kRopeFreqs, RotarySet::kUsual);
    add_factors(name::kRopeFactorsShort, RotarySet::kUsual);
    add_factors(name::kRopeFactorsLong, RotarySet::kLongText);
  }

  void add_block(std::int64_t layer) {
    const ModelConfig& c = checkpoint_.config();
    std::size_t matrix = 0;
    for (const BlockTensor& part : block_tensors(c)) {
      const std::string to = fmt::format("blk.{}.{}", layer, part.stored.name),
                        from = block_tensor_name(layer, part.name);
      if (!part.matrix()) {
        add(to, from, TensorType::kF32);
        continue;
      }
      const TensorType type = matrix_type(settings_.dtype, settings_.wider, matrix++);
      const Guide guide = [this, layer, part] { return guides_ ? guides_->at(layer).of(part) : MatrixGuide{}; };
      if (part.stored.by_input())
        add_tiled(to, from, type, guide);
      else
        add(to, from, type, guide);
    }
  }

  const Checkpoint& checkpoint_;
  const PackConfig& settings_;
  std::optional<GuidePass> guides_;  // made from the checkpoint as the tensors are
  std::vector<WrittenTensor> tensors_;
};

// The value of elastic.tiled_tensors: what is always tiled, then the suffixes of what else is stored in panels.
std::vector<std::string> permuted_suffixes(const std::vector<WrittenTensor>& tensors) {
  std::vector<std::string> suffixes(std::begin(elrt::format::kTiledSuffixes), std::end(elrt::format::kTiledSuffixes));
  for (const auto& tensor : tensors) {
    if (!elrt::is_quantised(tensor.type) || tensor.name.ends_with(name::kLoraB)) continue;  // no panels
    // "blk.N.attn_q.weight" ends in "attn_q.weight", all adapters' first matrices end alike.
    std::string suffix = tensor.name.substr(tensor.name.rfind("blk.", 0) == 0 ? tensor.name.find('.', 4) + 1 : 0);
    if (suffix.ends_with(name::kLoraA)) suffix = name::kLoraA;
    if (std::find(suffixes.begin(), suffixes.end(), suffix) == suffixes.end()) suffixes.push_back(suffix);
  }
  return suffixes;
}

void add_halves(TensorList& list, const std::string& target, const torch::Tensor& values) {
  list.add_made(target, TensorType::kF16, values.sizes().vec(),
                [values, target] { return MadeTensor{to_float(values, TensorType::kF16, target)}; });
}

void add_adapter_a(TensorList& list, const std::string& target, const torch::Tensor& a, TensorType type,
                   bool by_input) {
  if (type == TensorType::kF16) return add_halves(list, target, by_input ? tile_inputs(a) : a);
  list.add_made(target, type, panel_shape(a.size(0), a.size(1), PanelOrder::kAdapter),
                [a, target, type] { return to_panels(a, type, PanelOrder::kAdapter, target, {}); });
}

void add_adapter_b(TensorList& list, const std::string& target, const torch::Tensor& b, TensorType type) {
  if (type == TensorType::kF16) return add_halves(list, target, in_columns(b));
  const std::int64_t side = elrt::format::kColumnOutputs;
  list.add_made(target, type, {(b.size(0) + side - 1) / side, b.size(1), side}, [b, target] {
    const QuantisedMatrix made = quantise_columns(b.to(torch::kFloat32), target);
    return MadeTensor{made.bytes, static_cast<float>(made.relative_rms_error)};
  });
}

// `what`: for messages; `owner`: as tensors' names have it.
void add_adapter(TensorList& list, const ModelConfig& config, const std::string& what, const std::string& owner,
                 const LevelWidths& widths, const Adapter& adapter, AdapterTypes types) {
  for (std::size_t layer = 0; layer < adapter.blocks.size(); ++layer) {
    for (std::size_t target = 0; target < adapter.blocks[layer].size(); ++target) {
      const LoraPair& pair = adapter.blocks[layer][target];
      if (!pair.defined()) continue;
      const BlockTensor& matrix = block_matrices()[target];
      const auto fits = matrix.shape(block_widths(config, widths.kv_groups[layer], widths.neurons[layer]));
      const std::vector<std::int64_t> a_shape = {adapter.rank, fits[1]}, b_shape = {fits[0], adapter.rank};
      if (pair.a.sizes().vec() != a_shape || pair.b.sizes().vec() != b_shape) {
        fail_data("{} does not fit layer {} {}: expected A [{}] and B [{}], found [{}] and [{}]; run finetune again",
                  what, layer, kTargetNames[target], fmt::join(a_shape, ", "), fmt::join(b_shape, ", "),
                  fmt::join(pair.a.sizes().vec(), ", "), fmt::join(pair.b.sizes().vec(), ", "));
      }
      if (fits[0] == 0 || fits[1] == 0) continue;  // of a half that the level leaves out
      const std::string base = fmt::format("adapter.{}.blk.{}.{}", owner, layer, name::kAdapterTargets[target]);
      add_adapter_a(list, base + name::kLoraA, pair.a, types.a, matrix.stored.by_input());
      add_adapter_b(list, base + name::kLoraB, pair.b, types.b);
    }
  }
}

void add_adapters(TensorList& list, const PackInputs& inputs, const PackConfig& settings) {
  const ModelConfig& config = inputs.reordered.config();
  for (const auto& [level, adapter] : inputs.adapters) {
    add_adapter(list, config, fmt::format("the adapter of level {}", level), std::to_string(level),
                inputs.plan.at(level).widths, adapter, adapter_types(settings, adapter.rank));
  }
  if (!inputs.shared_adapter) return;
  for (const auto& [level, scale] : inputs.shared_adapter->scales) {
    require(inputs.plan.at(level).level < 100 && inputs.adapters.count(level) == 0,
            "level {} cannot use the shared adapter: it is the full level, or has one of its own", level);
  }
  const Adapter& shared = inputs.shared_adapter->adapter;
  add_adapter(list, config, "the shared adapter", name::kSharedAdapter, full_widths(config), shared,
              adapter_types(settings, shared.rank));
}

}  // namespace

AdapterTypes adapter_types(const PackConfig& settings, std::int64_t rank) {
  const bool bytes = settings.adapter_dtype == "q8_0" ||
                     (settings.adapter_dtype == "auto" && elrt::is_quantised(type_of(settings.dtype)));
  // Whole panels of a byte and a share of a scale for each weight, against two bytes for each rank that there is.
  constexpr std::int64_t kSide = elrt::format::kAdapterPanelOutputs;
  const bool smaller = (rank + kSide - 1) / kSide * kSide * 34 < rank * 64;
  return {bytes && smaller ? TensorType::kQ8_0 : TensorType::kF16, bytes ? TensorType::kQ8_0 : TensorType::kF16};
}

bool wants_rounding_text(const PackConfig& settings) {
  return elrt::is_quantised(type_of(settings.dtype)) && settings.calibration_tokens > 0;
}

QuantisationErrors write_artifact(const fs::path& path, const PackInputs& inputs, const PackConfig& settings) {
  torch::NoGradGuard no_grad;
  const ModelConfig& config = inputs.reordered.config();
  const auto tokens = static_cast<std::int64_t>(inputs.tokenizer.tokens.size());
  if (tokens > config.vocab_size) {
    fail_data("the tokenizer has {} tokens, the checkpoint's vocabulary {}: they do not belong together", tokens,
              config.vocab_size);
  }
  check_wider(settings);
  TensorList list(inputs.reordered, settings, wants_rounding_text(settings) ? inputs.rounding : nullptr);
  list.add_model();
  add_adapters(list, inputs, settings);
  if (inputs.tlm != nullptr) {
    for (auto& tensor : tlm_tensors(*inputs.tlm))
      list.add_made(tensor.name, tensor.type, tensor.shape, std::move(tensor.make));
  }
  std::int64_t total_bytes = 0;
  for (const auto& tensor : list.all()) total_bytes += stored_bytes(tensor);
  Progress progress("pack", total_bytes, "bytes");
  Metadata metadata = make_metadata(inputs);
  metadata[key::kTiledTensors] = permuted_suffixes(list.all());
  const auto errors = write_gguf(path, std::move(metadata), list.all(), [&](std::int64_t done) {
    progress.update(done);
    stop_if_interrupted();
  });
  QuantisationErrors found;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if (!std::isnan(errors[i])) found[list.all()[i].name] = errors[i];
  }
  return found;
}

}  // namespace elastify
