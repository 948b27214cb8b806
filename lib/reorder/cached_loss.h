// The loss of sub-models on fixed text, with the inputs of every layer kept: a change of one layer costs the forward
// pass from that layer on.
#pragma once

#include <vector>

#include "data/dataset.h"
#include "model/decoder.h"
#include "model/loss_head.h"
#include "reorder/removal.h"

namespace elastify {

// What is measured, nats per token: the loss of the next token, or the divergence of the model's distribution from the
// full model's (over its 64 likeliest tokens and "any other"), which needs fewer tokens to tell two cuts apart.
enum class Measure { kNextToken, kDivergence };

class CachedLoss : public LossMeter {
 public:
  // `weights`: the full model, its units in their new order; it and `rows` must outlive this object. Rows go through
  // the model `batch_rows` at a time. Products in bfloat16 keep a copy of the matrices in that type, and round logits
  // to it. Throws Error(kBadData) where the rows predict nothing.
  CachedLoss(const ModelWeights& weights, const TokenRows& rows, std::int64_t batch_rows, ProductType products,
             Measure measure = Measure::kNextToken);

  // Throw Error(kBadData) where the loss is not finite.
  double loss() override;
  double loss_with(std::int64_t layer, std::int64_t kv_groups, std::int64_t neurons) override;
  void take(std::int64_t layer, std::int64_t kv_groups, std::int64_t neurons) override;

  std::int64_t tokens() const { return tokens_; }  // predictions that count

 private:
  struct Batch {
    std::vector<torch::Tensor> inputs;  // [layers][batch, seq, hidden], valid up to valid_
    torch::Tensor counted, targets;     // indexes of the rows that count of batch * seq, and what they predict
    TopTokens teacher;                  // of these rows; undefined for the loss of the next token
  };
  torch::Tensor forward(const BlockWeights& block, std::int64_t layer, const torch::Tensor& x) const;
  void refresh(std::int64_t layer);
  torch::Tensor counted_states(const Batch& batch, std::int64_t first, const BlockWeights* replaced) const;
  double finish(std::int64_t first, const BlockWeights* replaced);

  ModelConfig config_;
  RotaryTables rotary_;
  ForwardOptions options_;
  torch::Tensor final_norm_, head_;
  std::vector<BlockWeights> whole_, present_;
  std::vector<Batch> batches_;
  std::int64_t tokens_ = 0;
  std::int64_t valid_ = 0;  // the inputs of layers 0..valid_ are those of the present widths
};

// What it keeps and needs on top of `weights`, bytes.
double cached_loss_bytes(const ModelConfig& config, std::int64_t tokens, std::int64_t batch_rows, std::int64_t seq,
                         ProductType products);

}  // namespace elastify
