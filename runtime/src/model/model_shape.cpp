#include <algorithm>
#include <cmath>
#include <string>

#include "elrt/format.h"
#include "format/key_reader.hpp"
#include "model/model_checks.hpp"

namespace elrt {
namespace {

using gguf::Metadata;

void check_layout_keys(const Metadata& metadata, KeyReader& keys) {
  namespace key = format::key;
  keys.text(key::kRopePairing, format::kRopePairingHalves);
  keys.u32(key::kTileInputCount, format::kTileInputs, format::kTileInputs);
  const auto* tiled = gguf::find<std::vector<std::string>>(metadata, key::kTiledTensors);
  const std::vector<std::string> always(std::begin(format::kTiledSuffixes), std::end(format::kTiledSuffixes));
  if (tiled == nullptr || tiled->size() < always.size() || !std::equal(always.begin(), always.end(), tiled->begin())) {
    keys.problem(key::kTiledTensors, "does not begin with the tensors that this version tiles");
  }
}

void check_heads(const ModelShape& shape, KeyReader& keys) {
  namespace key = format::key;
  if (shape.heads % shape.kv_heads != 0) {
    keys.problem(key::kHeadCount, "is " + std::to_string(shape.heads) + ", expected a multiple of the " +
                                      std::to_string(shape.kv_heads) + " KV heads");
  }
  if (shape.rotary_dim % 2 != 0) {
    const bool whole = shape.rotary_dim == shape.head_dim;
    keys.problem(whole ? key::kKeyLength : key::kRopeDimensions, "is odd; rotary embedding needs pairs");
  }
  if (std::uint64_t{shape.heads} * shape.head_dim > format::kMaxWidth) {
    keys.problem(key::kHeadCount, "times the head width exceeds " + std::to_string(format::kMaxWidth));
  }
}

// By layer, 0 or 1; empty where the key is missing.
std::vector<std::uint32_t> layer_flags(const Metadata& metadata, KeyReader& keys, const char* key,
                                       std::uint32_t layers) {
  if (!metadata.contains(key)) return {};
  const auto* flags = gguf::find<std::vector<std::uint32_t>>(metadata, key);
  if (flags == nullptr || flags->size() != layers || *std::max_element(flags->begin(), flags->end()) > 1) {
    keys.problem(key, "does not hold a u32 of 0 or 1 for each of " + std::to_string(layers) + " layers");
    return {};
  }
  return *flags;
}

void read_rotation(const Metadata& metadata, KeyReader& keys, ModelShape* shape) {
  namespace key = format::key;
  const auto has = [&](const char* name) { return metadata.contains(name); };
  shape->rope_base = keys.positive_f32(key::kRopeFreqBase, 1e12f);
  shape->rotary_dim = has(key::kRopeDimensions) ? keys.u32(key::kRopeDimensions, 2, shape->head_dim) : shape->head_dim;
  if (has(key::kRopeFreqBaseLocal)) shape->local_rope_base = keys.positive_f32(key::kRopeFreqBaseLocal, 1e12f);
  if (has(key::kRopeOriginalContext))
    shape->original_context = keys.u32(key::kRopeOriginalContext, 1, format::kMaxContext);
  if (has(key::kRopeMagnitude)) shape->rope_magnitude = keys.positive_f32(key::kRopeMagnitude, 1e3f);
  shape->rope_layers = layer_flags(metadata, keys, key::kRopeLayers, shape->blocks);
}

void read_attention(const Metadata& metadata, KeyReader& keys, ModelShape* shape) {
  namespace key = format::key;
  if (metadata.contains(key::kSlidingWindow))
    shape->sliding_window = keys.u32(key::kSlidingWindow, 0, format::kMaxContext);
  shape->window_layers = layer_flags(metadata, keys, key::kWindowLayers, shape->blocks);
  shape->attention_scale = metadata.contains(key::kAttentionScale)
                               ? keys.positive_f32(key::kAttentionScale, 1e6f)
                               : 1.0f / std::sqrt(static_cast<float>(shape->head_dim));
}

Activation read_activation(const Metadata& metadata, KeyReader& keys) {
  namespace key = format::key;
  if (!metadata.contains(key::kActivation)) return Activation::kSilu;
  const auto* name = gguf::find<std::string>(metadata, key::kActivation);
  if (name != nullptr && *name == format::kActivationGeluTanh) return Activation::kGeluTanh;
  keys.text(key::kActivation, format::kActivationSilu);
  return Activation::kSilu;
}

}  // namespace

Result<void> read_shape(const Metadata& metadata, ModelShape* shape) {
  namespace key = format::key;
  KeyReader keys(metadata);
  keys.text(key::kArchitectureName, format::kArchitecture);
  keys.u32(key::kFormatVersionNumber, format::kPlainFormatVersion, format::kFormatVersion);
  check_layout_keys(metadata, keys);
  shape->blocks = keys.u32(key::kBlockCount, 1, format::kMaxBlocks);
  shape->context = keys.u32(key::kContextLength, 1, format::kMaxContext);
  shape->hidden = keys.u32(key::kEmbeddingLength, 1, format::kMaxWidth);
  shape->ffn = keys.u32(key::kFeedForwardLength, 1, format::kMaxWidth);
  shape->vocab = keys.u32(key::kVocabSize, 1, format::kMaxVocab);
  shape->heads = keys.u32(key::kHeadCount, 1, format::kMaxWidth);
  shape->kv_heads = keys.u32(key::kHeadCountKv, 1, shape->heads);
  shape->head_dim = keys.u32(key::kKeyLength, 2, format::kMaxWidth);
  keys.u32(key::kValueLength, shape->head_dim, shape->head_dim);
  shape->rms_epsilon = keys.positive_f32(key::kRmsEpsilon, 1.0f);
  if (!keys.first_problem().empty()) return bad_data(keys.first_problem());
  read_rotation(metadata, keys, shape);
  read_attention(metadata, keys, shape);
  if (metadata.contains(key::kEmbeddingScale)) shape->embedding_scale = keys.positive_f32(key::kEmbeddingScale, 1e6f);
  shape->activation = read_activation(metadata, keys);
  check_heads(*shape, keys);
  if (!keys.first_problem().empty()) return bad_data(keys.first_problem());
  return {};
}

}  // namespace elrt
