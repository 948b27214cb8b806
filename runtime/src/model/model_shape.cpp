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
  if (shape.head_dim % 2 != 0) keys.problem(key::kKeyLength, "is odd; rotary embedding needs pairs");
  if (std::uint64_t{shape.heads} * shape.head_dim > format::kMaxWidth) {
    keys.problem(key::kHeadCount, "times the head width exceeds " + std::to_string(format::kMaxWidth));
  }
}

}  // namespace

Result<void> read_shape(const Metadata& metadata, ModelShape* shape) {
  namespace key = format::key;
  KeyReader keys(metadata);
  keys.text(key::kArchitectureName, format::kArchitecture);
  keys.u32(key::kFormatVersionNumber, format::kFormatVersion, format::kFormatVersion);
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
  shape->rope_base = keys.positive_f32(key::kRopeFreqBase, 1e12f);
  if (metadata.contains(key::kSlidingWindow))
    shape->sliding_window = keys.u32(key::kSlidingWindow, 0, format::kMaxContext);
  check_heads(*shape, keys);
  if (!keys.first_problem().empty()) return bad_data(keys.first_problem());
  return {};
}

}  // namespace elrt
