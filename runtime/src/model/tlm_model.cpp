#include "model/tlm_model.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "elrt/wordpiece.hpp"
#include "format/key_reader.hpp"

namespace elrt {
namespace {

namespace key = format::key;
namespace names = format::tensor;

void read_dimensions(KeyReader& keys, TlmShape& s) {
  s.embedding = keys.u32(key::kTlmEmbeddingSize, 1, format::kMaxWidth / 4);
  s.hidden = keys.u32(key::kTlmHiddenSize, 1, format::kMaxWidth);
  s.inner = keys.u32(key::kTlmInnerSize, 1, format::kMaxWidth);
  s.ffn = keys.u32(key::kTlmFeedForwardSize, 1, format::kMaxWidth);
  s.heads = keys.u32(key::kTlmHeadCount, 1, format::kMaxWidth);
  s.feed_forwards = keys.u32(key::kTlmFeedForwardCount, 1, format::kMaxFeedForwards);
  s.positions = keys.u32(key::kTlmPositions, kTlmSpecialTokens + 1, format::kMaxTlmPositions);
  s.bottom_layers = keys.u32(key::kTlmBottomLayers, 1, format::kMaxBlocks);
  s.score_layers = keys.u32(key::kTlmScoreLayers, 1, format::kMaxBlocks);
  s.decision_layers = keys.u32(key::kTlmDecisionLayers, 1, format::kMaxBlocks);
  s.bottleneck = keys.flag(key::kTlmBottleneck);
  s.shared_key_query = keys.flag(key::kTlmSharedKeyQuery);
  s.bottleneck_attention = keys.flag(key::kTlmBottleneckAttention);
  s.trigram_input = keys.flag(key::kTlmTrigramInput);
  s.layer_norm = keys.flag(key::kTlmLayerNorm);
  s.norm_epsilon = keys.positive_f32(key::kTlmNormEpsilon, 1.0f);
  s.model_levels = keys.percentages(key::kTlmModelLevels);
  s.prompt_levels = keys.percentages(key::kTlmPromptLevels);
  s.ttft_levels = keys.percentages(key::kTlmTtftLevels);
  s.tpot_levels = keys.percentages(key::kTlmTpotLevels);
}

TlmBodyKind read_body(const gguf::Metadata& metadata, KeyReader& keys) {
  if (!metadata.contains(key::kTlmBody)) return TlmBodyKind::kMobileBert;
  keys.text(key::kTlmBody, format::kTlmBodyBert);
  return TlmBodyKind::kBert;
}

// What a BERT body leaves no choice in.
void check_bert(KeyReader& keys, const TlmShape& s) {
  const auto expect = [&](const char* name, std::uint32_t found, std::uint32_t expected) {
    if (found != expected)
      keys.problem(name, "is " + std::to_string(found) + ", expected " + std::to_string(expected) +
                             ", as the body is " + format::kTlmBodyBert);
  };
  expect(key::kTlmBottleneck, s.bottleneck, false);
  expect(key::kTlmSharedKeyQuery, s.shared_key_query, false);
  expect(key::kTlmBottleneckAttention, s.bottleneck_attention, false);
  expect(key::kTlmTrigramInput, s.trigram_input, false);
  expect(key::kTlmLayerNorm, s.layer_norm, true);
  expect(key::kTlmFeedForwardCount, s.feed_forwards, 1);
  expect(key::kTlmEmbeddingSize, s.embedding, s.hidden);
}

void check_consistent(const gguf::Metadata& metadata, KeyReader& keys, TlmShape& s) {
  if (s.inner % s.heads != 0) {
    keys.problem(key::kTlmHeadCount, "is " + std::to_string(s.heads) + ", expected a divisor of the inner size of " +
                                         std::to_string(s.inner));
  }
  if (!s.bottleneck && s.inner != s.hidden) {
    keys.problem(key::kTlmInnerSize, "is " + std::to_string(s.inner) + ", expected " + std::to_string(s.hidden) +
                                         ", as there is no bottleneck");
  }
  if (s.bottleneck && !s.shared_key_query && !s.bottleneck_attention && s.inner != s.hidden) {
    keys.problem(key::kTlmSharedKeyQuery, "is false, so that queries would be " + std::to_string(s.hidden) +
                                              " wide, expected " + std::to_string(s.inner));
  }
  if (s.embedding > s.hidden)
    keys.problem(key::kTlmEmbeddingSize, "is " + std::to_string(s.embedding) + ", wider than the hidden states");
  const auto* vocabulary = gguf::find<std::vector<std::string>>(metadata, key::kTlmVocabulary);
  if (vocabulary == nullptr || vocabulary->empty())
    return keys.problem(key::kTlmVocabulary, "is missing, empty or not [string]");
  s.vocab = static_cast<std::uint32_t>(vocabulary->size());
}

void read_accuracy(const gguf::Metadata& metadata, KeyReader& keys, TlmShape& s) {
  if (!metadata.contains(key::kTlmAccuracy)) return;
  const auto* values = gguf::find<std::vector<float>>(metadata, key::kTlmAccuracy);
  const std::size_t expected = s.model_levels.size() * s.prompt_levels.size();
  if (values == nullptr || values->size() != expected) {
    return keys.problem(key::kTlmAccuracy,
                        "does not hold one f32 for each of " + std::to_string(expected) + " decisions");
  }
  s.accuracy = *values;
}

void read_head_weight(const gguf::Metadata& metadata, KeyReader& keys, TlmShape& s) {
  if (!metadata.contains(key::kTlmHeadWeight)) return;
  const auto* value = gguf::find<float>(metadata, key::kTlmHeadWeight);
  if (value == nullptr || !std::isfinite(*value) || *value < 0)
    return keys.problem(key::kTlmHeadWeight, "is not an f32 of 0 or more");
  const bool known = !s.accuracy.empty() && std::none_of(s.accuracy.begin(), s.accuracy.end(),
                                                         [](float share) { return !(share > 0 && share < 1); });
  if (!known)
    return keys.problem(key::kTlmHeadWeight,
                        "is there, but " + std::string(key::kTlmAccuracy) + " lacks shares between 0 and 1");
  s.head_weight = *value;
}

TlmDense bind_affine(TensorBinder& binder, const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
  return {binder.columns(name + names::kWeight, inputs, outputs), binder.vector(name + names::kBias, outputs), {}};
}

TlmDense bind_dense(TensorBinder& binder, const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
  TlmDense dense = bind_affine(binder, name, inputs, outputs);
  dense.norm = {binder.vector(name + names::kNormWeight, outputs), binder.vector(name + names::kNormBias, outputs)};
  return dense;
}

TlmLayer bind_layer(TensorBinder& binder, const TlmShape& s, const std::string& prefix) {
  TlmLayer layer;
  if (s.bottleneck) {
    layer.in = bind_dense(binder, prefix + names::kTlmIn, s.hidden, s.inner);
    if (s.shared_key_query) layer.attn_in = bind_dense(binder, prefix + names::kTlmAttnIn, s.hidden, s.inner);
    layer.out = bind_dense(binder, prefix + names::kTlmOut, s.inner, s.hidden);
  }
  layer.q = bind_affine(binder, prefix + names::kTlmQ, s.inner, s.inner);
  layer.k = bind_affine(binder, prefix + names::kTlmK, s.inner, s.inner);
  layer.v = bind_affine(binder, prefix + names::kTlmV, s.value_inputs(), s.inner);
  layer.attn_output = bind_dense(binder, prefix + names::kTlmAttnOutput, s.inner, s.inner);
  for (std::uint32_t i = 0; i < s.feed_forwards; ++i) {
    layer.feed_forwards.push_back(
        {bind_affine(binder, prefix + names::kTlmFfnUp + std::to_string(i), s.inner, s.ffn),
         bind_dense(binder, prefix + names::kTlmFfnDown + std::to_string(i), s.ffn, s.inner)});
  }
  return layer;
}

std::vector<TlmLayer> bind_layers(TensorBinder& binder, const TlmShape& s, const char* part, std::uint32_t count) {
  std::vector<TlmLayer> layers;
  for (std::uint32_t i = 0; i < count; ++i) {
    layers.push_back(bind_layer(binder, s, names::kTlm + std::string(part) + "." + std::to_string(i) + "."));
    if (!binder.first_problem().empty()) break;  // a hostile count would repeat the first problem many times
  }
  return layers;
}

}  // namespace

Result<void> read_tlm_shape(const gguf::Metadata& metadata, std::optional<TlmModel>* tlm) {
  if (!metadata.contains(key::kTlmHiddenSize)) return {};
  TlmModel& model = tlm->emplace();
  KeyReader keys(metadata);
  model.shape.body = read_body(metadata, keys);
  read_dimensions(keys, model.shape);
  if (model.shape.body == TlmBodyKind::kBert) check_bert(keys, model.shape);
  check_consistent(metadata, keys, model.shape);
  read_accuracy(metadata, keys, model.shape);
  read_head_weight(metadata, keys, model.shape);
  if (!keys.first_problem().empty()) return bad_data(keys.first_problem());
  return {};
}

void bind_tlm(TensorBinder& binder, TlmModel* tlm) {
  const TlmShape& s = tlm->shape;
  const auto slos = static_cast<std::uint32_t>(s.ttft_levels.size() + s.tpot_levels.size());
  tlm->tokens = binder.plain_rows(names::kTlmToken + std::string(names::kWeight), s.embedding, s.vocab);
  tlm->slos = binder.plain_rows(names::kTlmSlo + std::string(names::kWeight), s.embedding, slos);
  tlm->positions = binder.plain_rows(names::kTlmPosition + std::string(names::kWeight), s.hidden, s.positions);
  tlm->segments = binder.plain_rows(names::kTlmType + std::string(names::kWeight), s.hidden, kTlmSegments);
  if (s.transforms_words()) tlm->embedding = bind_affine(binder, names::kTlmEmbedding, s.word_inputs(), s.hidden);
  const std::string norm = names::kTlmEmbedding;
  tlm->embedding.norm = {binder.vector(norm + names::kNormWeight, s.hidden),
                         binder.vector(norm + names::kNormBias, s.hidden)};
  tlm->bottom = bind_layers(binder, s, names::kTlmParts[0], s.bottom_layers);
  tlm->score_layers = bind_layers(binder, s, names::kTlmParts[1], s.score_layers);
  tlm->decision_layers = bind_layers(binder, s, names::kTlmParts[2], s.decision_layers);
  tlm->score = bind_affine(binder, names::kTlmScore, s.hidden, 2);
  tlm->model_level =
      bind_affine(binder, names::kTlmModelLevel, s.hidden, static_cast<std::uint32_t>(s.model_levels.size()));
  tlm->prompt_level =
      bind_affine(binder, names::kTlmPromptLevel, s.hidden, static_cast<std::uint32_t>(s.prompt_levels.size()));
}

}  // namespace elrt
