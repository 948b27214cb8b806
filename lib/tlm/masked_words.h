// Masked-word prediction, with which a body is pre-trained (Devlin et al. 2018): a share of the words is hidden, and
// the encoder tells what they were.
#pragma once

#include "tlm/encoder.h"

namespace elastify {

// MobileBERT's and BERT's head: h = LayerNorm(a(W x + b)), a being the body's activation; logits = h [E | R]^T + bias,
// where E is the words' embedding (tied) and R covers the features beyond embedding_size. R is as large as the
// vocabulary times (hidden - embedding): small bodies do without.
struct MaskedWordHead {
  TlmAffine transform;  // [hidden, hidden]
  TlmNormWeights norm;  // [hidden]; a LayerNorm whatever the body's norm
  torch::Tensor rest;   // R^T, [hidden - embedding, vocab], or undefined: those features then do not count
  torch::Tensor bias;   // [vocab]

  bool defined() const { return bias.defined(); }
};

// "<prefix>transform.dense.weight", ...; `with_rest` asks for R, which no head has where hidden_size is embedding_size.
std::vector<TlmSlot> masked_word_slots(MaskedWordHead& head, const TlmConfig& config, const std::string& prefix,
                                       bool with_rest);
MaskedWordHead random_masked_word_head(const TlmConfig& config, std::uint64_t seed, bool with_rest);

// hidden: [.., hidden]; word: the body's [vocab, embedding] -> [.., vocab].
torch::Tensor masked_word_logits(const MaskedWordHead& head, const TlmConfig& config, const torch::Tensor& word,
                                 const torch::Tensor& hidden);

struct MaskedBatch {
  TlmBatch batch;         // with tokens hidden
  torch::Tensor targets;  // [batch, seq] int64: the hidden tokens, kIgnore elsewhere
};

// Hides each word of `batch` (which must have `words`) with probability `share`, whole words at a time: of the hidden
// tokens 80 % become `mask_id`, 10 % a random token below `vocab_size`, 10 % stay. Draws come from a generator seeded
// by `seed` alone.
MaskedBatch hide_words(const TlmBatch& batch, double share, std::int64_t mask_id, std::int64_t vocab_size,
                       std::uint64_t seed);

// Mean loss over the hidden tokens, in nats; 0 where there are none. Logits are computed for these positions only.
torch::Tensor masked_word_loss(const MaskedWordHead& head, const TlmConfig& config, const torch::Tensor& word,
                               const torch::Tensor& hidden, const torch::Tensor& targets);

}  // namespace elastify
