// The dual-head tiny language model: one MobileBERT or BERT body whose bottom layers two heads share, each with top
// layers of its own.
//   score-head     keep or discard, for every token of a prompt
//   decision-head  model level and prompt level for a prompt under an SLO, from the first position
#pragma once

#include "tlm/encoder.h"
#include "tlm/slo_tokens.h"

namespace elastify {

struct DualHeadConfig {
  std::int64_t bottom_layers = 0;  // shared; 0: half of the body's layers, rounded up
  std::int64_t score_layers =
      0;  // of the score-head, copies of the body's first layers above the bottom; 0: all of them
  std::int64_t decision_layers = 0;  // of the decision-head, likewise
  std::vector<std::int64_t> model_levels = {20, 30, 40, 50, 60, 70, 80, 90, 100};
  std::vector<std::int64_t> prompt_levels = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
  std::vector<std::int64_t> ttft_levels = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
  std::vector<std::int64_t> tpot_levels = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100};

  template <typename V>
  void visit(V& v) {
    v.integer("bottom_layers", bottom_layers, 0, 1 << 10,
              "layers that both heads share; 0: half of the body's, rounded up");
    v.integer("score_layers", score_layers, 0, 1 << 10, "of the score-head; 0: all that the body has above the bottom");
    v.integer("decision_layers", decision_layers, 0, 1 << 10,
              "of the decision-head; 0: all that the body has above the bottom");
    v.integers("model_levels", model_levels, 1, 100, "set by label.model_levels");
    v.integers("prompt_levels", prompt_levels, 1, 100, "set by label.prompt_levels");
    v.integers("ttft_levels", ttft_levels, 1, 100, "TTFT objectives that have a token, percent of the full model");
    v.integers("tpot_levels", tpot_levels, 1, 100, "TPOT objectives that have a token, percent of the full model");
  }
};

struct DualHead {
  TlmConfig body;           // its num_layers is the bottom and the deeper head together
  DualHeadConfig settings;  // layer counts resolved
  SloTokens slo;            // ids from body.vocab_size on

  TlmEmbeddings embeddings;
  torch::Tensor
      slo_embeddings;  // [slo.count(), embedding]: the rows after the vocabulary's, apart so that they can train alone
  std::vector<TlmLayer> bottom, score_layers, decision_layers;
  TlmAffine score;         // [2, hidden]: discard, retain
  TlmAffine model_level;   // [model_levels, hidden]
  TlmAffine prompt_level;  // [prompt_levels, hidden]
};

// Copies of the body's tensors (no memory is shared), its dtype and device; the SLO embeddings start mutually
// orthogonal with the mean length of a word's embedding, the classifiers as initialise_slots() does. Throws
// Error(kUsage) where the counts do not fit the body or the levels are not strictly rising.
DualHead make_dual_head(const TlmBody& body, const DualHeadConfig& settings, std::uint64_t seed);

// `trained` under other levels: the decision-head's two classifiers are new, everything else is shared with it. Throws
// Error(kUsage) where `settings` asks for other layer counts or SLO levels than `trained` has, or the levels are not
// strictly rising.
DualHead with_levels_of(const DualHead& trained, const DualHeadConfig& settings, std::uint64_t seed);

// Word vectors of tokens and SLO tokens alike: [batch, seq] -> [batch, seq, embedding].
torch::Tensor dual_head_words(const DualHead& model, const torch::Tensor& tokens);
// What both heads read, [batch, seq, hidden]: the states after the bottom layers.
torch::Tensor shared_states(const DualHead& model, const TlmBatch& batch, const TlmForward& options = {});

// shared: shared_states(); mask: the batch's -> [batch, seq, 2], logits of (discard, retain).
torch::Tensor score_logits(const DualHead& model, const torch::Tensor& shared, const torch::Tensor& mask,
                           const TlmForward& options = {});

struct DecisionLogits {
  torch::Tensor model_level;   // [batch, model_levels]
  torch::Tensor prompt_level;  // [batch, prompt_levels]
};
DecisionLogits decision_logits(const DualHead& model, const torch::Tensor& shared, const torch::Tensor& mask,
                               const TlmForward& options = {});

// A word's keep probability: the mean over its tokens of softmax(logits)[retain]. logits: [batch, seq, 2]; words: as in
// TlmBatch, below `count` -> [batch, count]; 0 for a word without tokens.
torch::Tensor word_keep_probability(const torch::Tensor& logits, const torch::Tensor& words, std::int64_t count);

// The tensors by part, for training and for files. Slots point into the model.
std::vector<TlmSlot> bottom_slots(DualHead& model);    // embeddings and bottom layers, without the SLO embeddings
std::vector<TlmSlot> score_slots(DualHead& model);     // the score-head's own
std::vector<TlmSlot> decision_slots(DualHead& model);  // the decision-head's own, SLO embeddings included
std::vector<TlmSlot> dual_head_slots(DualHead& model);

}  // namespace elastify
