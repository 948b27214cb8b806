#include "pack/pack_tlm.h"

#include <elrt/format.h>
#include <elrt/tlm.hpp>
#include <elrt/wordpiece.hpp>

#include "base/error.h"
#include "pack/float_layout.h"
#include "tlm/dual_head_file.h"

namespace elastify {
namespace {

namespace key = elrt::format::key;
namespace name = elrt::format::tensor;
using elrt::TensorType;
using nlohmann::json;

std::vector<std::string> read_vocabulary(const fs::path& path, std::int64_t expected) {
  const auto read = elrt::WordPiece::from_vocabulary_text(read_file(path));
  if (!read) fail_data("{}: {}", path.string(), read.failure().message);
  if (read->vocab_size() != expected) {
    fail_data("{} has {} tokens, the tiny language model's vocabulary {}: they do not belong together", path.string(),
              read->vocab_size(), expected);
  }
  std::vector<std::string> tokens;
  for (std::int32_t id = 0; id < read->vocab_size(); ++id) tokens.emplace_back(read->token(id));
  return tokens;
}

std::vector<std::uint32_t> levels(const std::vector<std::int64_t>& values) { return {values.begin(), values.end()}; }
std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

// Lists tensors under the artifact's names.
class TlmTensorList {
 public:
  void vector(const std::string& target, const torch::Tensor& values) { add(target, TensorType::kF32, values); }
  void rows(const std::string& target, const torch::Tensor& values) {
    add(target + name::kWeight, TensorType::kF16, values);
  }
  void affine(const std::string& target, const TlmAffine& affine) {
    add(target + name::kWeight, TensorType::kF16, in_columns(affine.weight));
    vector(target + name::kBias, affine.bias);
  }
  void norm(const std::string& target, const TlmNormWeights& norm) {
    vector(target + name::kNormWeight, norm.weight);
    vector(target + name::kNormBias, norm.bias);
  }
  void dense(const std::string& target, const TlmDense& dense) {
    affine(target, dense.dense);
    norm(target, dense.norm);
  }
  void layer(const std::string& prefix, const TlmLayer& layer, const TlmConfig& c) {
    if (c.use_bottleneck) {
      dense(prefix + name::kTlmIn, layer.input_bottleneck);
      if (c.shared_key_query) dense(prefix + name::kTlmAttnIn, layer.attention_bottleneck);
    }
    affine(prefix + name::kTlmQ, layer.query);
    affine(prefix + name::kTlmK, layer.key);
    affine(prefix + name::kTlmV, layer.value);
    dense(prefix + name::kTlmAttnOutput, layer.attention_output);
    for (std::size_t i = 0; i < layer.feed_forward.size(); ++i) {
      affine(prefix + name::kTlmFfnUp + std::to_string(i), layer.feed_forward[i].up);
      dense(prefix + name::kTlmFfnDown + std::to_string(i), layer.feed_forward[i].down);
    }
    if (c.use_bottleneck) dense(prefix + name::kTlmOut, layer.output_bottleneck);
  }
  void part(const char* part, const std::vector<TlmLayer>& layers, const TlmConfig& c) {
    for (std::size_t i = 0; i < layers.size(); ++i) layer(fmt::format("{}{}.{}.", name::kTlm, part, i), layers[i], c);
  }

  std::vector<WrittenTensor> all;

 private:
  void add(const std::string& target, TensorType type, const torch::Tensor& values) {
    all.push_back({target, type, values.sizes().vec(), [target, type, values] {
                     const torch::Tensor made =
                         values.to(type == TensorType::kF16 ? torch::kFloat16 : torch::kFloat32).contiguous();
                     if (!torch::isfinite(made).all().item<bool>())
                       fail_data("tensor {} holds values beyond float16's range of 65504", target);
                     return MadeTensor{made};
                   }});
  }
};

}  // namespace

std::vector<fs::path> packed_tlm_files(const fs::path& folder) {
  std::vector<fs::path> files = {folder / "config.json", folder / "model.safetensors", folder / "vocab.txt"};
  if (fs::exists(folder / kChoiceRuleFile)) files.push_back(folder / kChoiceRuleFile);
  return files;
}

PackedTlm read_packed_tlm(const fs::path& folder) {
  PackedTlm tlm;
  tlm.model = read_dual_head(folder, torch::kCPU, torch::kFloat32);
  tlm.vocabulary = read_vocabulary(folder / "vocab.txt", tlm.model.body.vocab_size);
  const DualHeadConfig& s = tlm.model.settings;
  if (tlm.model.body.max_positions <= elrt::kTlmSpecialTokens) {
    fail_data("{}: {} positions hold no word after the {} special tokens", folder.string(),
              tlm.model.body.max_positions, elrt::kTlmSpecialTokens);
  }
  tlm.rule = read_choice_rule(folder, static_cast<std::int64_t>(s.model_levels.size()),
                              static_cast<std::int64_t>(s.prompt_levels.size()));
  return tlm;
}

void add_tlm_metadata(elrt::gguf::Metadata& m, const PackedTlm& tlm) {
  const TlmConfig& c = tlm.model.body;
  const DualHeadConfig& s = tlm.model.settings;
  m[key::kTlmEmbeddingSize] = u32(c.embedding_size);
  m[key::kTlmHiddenSize] = u32(c.hidden_size);
  m[key::kTlmInnerSize] = u32(c.inner_size());
  m[key::kTlmFeedForwardSize] = u32(c.intermediate_size);
  m[key::kTlmHeadCount] = u32(c.num_heads);
  m[key::kTlmFeedForwardCount] = u32(c.num_feed_forward);
  m[key::kTlmPositions] = u32(c.max_positions);
  m[key::kTlmBottomLayers] = u32(s.bottom_layers);
  m[key::kTlmScoreLayers] = u32(s.score_layers);
  m[key::kTlmDecisionLayers] = u32(s.decision_layers);
  m[key::kTlmBottleneck] = c.use_bottleneck;
  m[key::kTlmSharedKeyQuery] = c.shared_key_query;
  m[key::kTlmBottleneckAttention] = c.bottleneck_attention;
  m[key::kTlmTrigramInput] = c.trigram_input;
  m[key::kTlmLayerNorm] = c.norm == TlmNorm::kLayer;
  m[key::kTlmNormEpsilon] = static_cast<float>(c.layer_norm_eps);
  m[key::kTlmModelLevels] = levels(s.model_levels);
  m[key::kTlmPromptLevels] = levels(s.prompt_levels);
  m[key::kTlmTtftLevels] = levels(s.ttft_levels);
  m[key::kTlmTpotLevels] = levels(s.tpot_levels);
  m[key::kTlmVocabulary] = tlm.vocabulary;
  if (tlm.rule) {
    const torch::Tensor shares = tlm.rule->accuracy.to(torch::kFloat32).contiguous();
    m[key::kTlmAccuracy] = std::vector<float>(shares.data_ptr<float>(), shares.data_ptr<float>() + shares.numel());
    if (tlm.rule->head_weight) m[key::kTlmHeadWeight] = static_cast<float>(*tlm.rule->head_weight);
  }
  if (c.kind == TlmBodyKind::kBert) {
    m[key::kTlmBody] = std::string(elrt::format::kTlmBodyBert);
    m[key::kFormatVersionNumber] = elrt::format::kFormatVersion;  // older readers would take it for a MobileBERT
  }
}

std::vector<WrittenTensor> tlm_tensors(const PackedTlm& tlm) {
  const DualHead& m = tlm.model;
  const TlmConfig& c = m.body;
  TlmTensorList list;
  list.rows(name::kTlmToken, m.embeddings.word);
  list.rows(name::kTlmSlo, m.slo_embeddings);
  list.rows(name::kTlmPosition, m.embeddings.position);
  list.rows(name::kTlmType, m.embeddings.type.narrow(0, 0, elrt::kTlmSegments));
  if (c.transforms_words()) list.affine(name::kTlmEmbedding, m.embeddings.transformation);
  list.norm(name::kTlmEmbedding, m.embeddings.norm);
  list.part(name::kTlmParts[0], m.bottom, c);
  list.part(name::kTlmParts[1], m.score_layers, c);
  list.part(name::kTlmParts[2], m.decision_layers, c);
  list.affine(name::kTlmScore, m.score);
  list.affine(name::kTlmModelLevel, m.model_level);
  list.affine(name::kTlmPromptLevel, m.prompt_level);
  return list.all;
}

}  // namespace elastify
