// The forward pass of a Llama-family decoder over ModelWeights, full or sliced, with an optional adapter.
#pragma once

#include <functional>

#include "base/torch.h"
#include "data/targets.h"
#include "model/adapter.h"
#include "model/matrix_product.h"
#include "model/weights.h"

namespace elastify {

enum class UnitKind { kGroup, kNeuron };

// Called with the activations that enter o_proj ([batch, seq, groups * group_width]) or down_proj ([batch, seq,
// neurons]); what it returns goes on instead. Zeroing a unit's slice removes the unit exactly.
using UnitTap = std::function<torch::Tensor(std::int64_t layer, UnitKind kind, torch::Tensor activations)>;

// Keys and values of the tokens so far, [batch, groups, tokens, head_dim] per layer.
struct KvCache {
  std::vector<torch::Tensor> keys, values;
  std::int64_t tokens = 0;
};

struct ForwardOptions {
  const Adapter* adapter = nullptr;
  bool training = false;  // applies the adapter's dropout, from torch's global generator
  UnitTap tap;
  ProductType products = ProductType::kFloat32;  // of projections without bias over float32 weights
  KvCache* cache = nullptr;  // tokens are taken as following those in the cache, which grows; inference only
};

// Rotary angles' cosines and sines, [positions, turned / 2] each, in float64 rounded to `dtype`.
struct RotaryTable {
  torch::Tensor cos, sin;
};
// By what a model turns: layers with the window may have a base of their own, and long texts other frequencies.
enum class RotarySet { kUsual, kLongText, kWindow };
struct RotaryTables {
  RotaryTable usual, long_text, window;  // those that the model lacks are undefined

  // For a layer, in a text of so many tokens so far; nullptr: the layer does not turn.
  const RotaryTable* of(const ModelConfig& config, std::int64_t layer, std::int64_t tokens) const;
};
// Inverse frequencies [turned / 2], float64, scaling applied (Su et al. 2021; Llama-3 scaling as published by Meta;
// LongRoPE, Ding et al. 2024).
torch::Tensor rotary_frequencies(const ModelConfig& config, RotarySet set = RotarySet::kUsual);
RotaryTables make_rotary_tables(const ModelConfig& config, std::int64_t positions, torch::Device device,
                                torch::ScalarType dtype);

// [.., hidden]: rows of the embedding, scaled as the family does.
torch::Tensor embed_tokens(const torch::Tensor& embedding, const torch::Tensor& tokens, const ModelConfig& config);

class Decoder {
 public:
  explicit Decoder(ModelWeights weights);

  const ModelWeights& weights() const { return weights_; }
  const ModelConfig& config() const { return weights_.config; }
  std::int64_t num_layers() const { return static_cast<std::int64_t>(weights_.blocks.size()); }

  // tokens: [batch, seq] int64 on the weights' device; seq plus cached tokens <= max_positions.
  torch::Tensor embed(const torch::Tensor& tokens) const;  // [batch, seq, hidden]
  torch::Tensor block(std::int64_t layer, const torch::Tensor& x,
                      const ForwardOptions& options = {}) const;                                // same shape
  torch::Tensor hidden(const torch::Tensor& tokens, const ForwardOptions& options = {}) const;  // after the final norm
  torch::Tensor logits(const torch::Tensor& tokens, const ForwardOptions& options = {}) const;  // [batch, seq, vocab]
  torch::Tensor finish(const torch::Tensor& x) const;                                           // final norm only
  torch::Tensor head(const torch::Tensor& normed, ProductType products = ProductType::kFloat32) const;  // LM head only

 private:
  ModelWeights weights_;
  RotaryTables rotary_;
};

// A block on its own, for stages that stream through the layers: the same arithmetic as Decoder::block. A half without
// units is skipped; a block without any returns `x` itself.
torch::Tensor block_forward(const BlockWeights& block, const ModelConfig& config, const RotaryTables& rotary,
                            std::int64_t layer, const torch::Tensor& x, const ForwardOptions& options = {});

torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);
// What a half adds to the residual stream: normalised where `norm` is defined.
torch::Tensor added(const torch::Tensor& y, const torch::Tensor& norm, double eps);

// Next-token loss in nats: logits [.., vocab], targets [..] int64 with kIgnore where nothing is to be predicted.
// Sum over the targets that count, in float32 (float64 for float64 logits).
torch::Tensor summed_loss(const torch::Tensor& logits, const torch::Tensor& targets);
// One loss per target, 0 where ignored.
torch::Tensor token_losses(const torch::Tensor& logits, const torch::Tensor& targets);

}  // namespace elastify
