// Settings of the tiny language model's training, one source for every default.
#pragma once

#include <string>
#include <vector>

#include "tlm/ranking_loss.h"
#include "tlm/train.h"

namespace elastify {

// A body that is made here. The defaults cost 3 to 5 % (2 to 3 % where the prompt is kept whole) of the shipped base
// model (4.9 M weights) for prompts of 128 to 512 tokens: see tlm_cost(). They keep the embedding wide enough for 20
// orthogonal SLO tokens.
struct TlmBodyConfig {
  std::int64_t vocab_size = 2048;
  std::int64_t embedding_size = 24;
  std::int64_t hidden_size = 64;
  std::int64_t bottleneck_size = 32;
  std::int64_t intermediate_size = 64;
  std::int64_t num_layers = 4;  // shared ones and the deeper head's
  std::int64_t num_heads = 4;
  std::int64_t num_feed_forward = 2;
  std::int64_t max_positions = 512;

  template <typename V>
  void visit(V& v) {
    v.integer("vocab_size", vocab_size, 16, 1 << 20, "learned word pieces, at most");
    v.integer("embedding_size", embedding_size, 1, 1 << 14, "width of a word vector");
    v.integer("hidden_size", hidden_size, 1, 1 << 16, "between layers");
    v.integer("bottleneck_size", bottleneck_size, 1, 1 << 16, "inside a layer");
    v.integer("intermediate_size", intermediate_size, 1, 1 << 18, "of a feed-forward part");
    v.integer("num_layers", num_layers, 2, 1 << 10, "shared ones and the deeper head's");
    v.integer("num_heads", num_heads, 1, 1 << 10, "of attention");
    v.integer("num_feed_forward", num_feed_forward, 1, 1 << 8, "parts a layer");
    v.integer("max_positions", max_positions, 16, 1 << 16, "tokens of a prompt that the heads see at once");
  }
  TlmConfig resolve(std::int64_t vocabulary) const;
};

struct TlmSettings {
  std::string body;        // a MobileBERT or BERT checkpoint, or the score/ of another run, score-head included; empty:
                           // one is trained from nothing
  std::string vocabulary;  // a vocab.txt; empty: that of the checkpoint (body_vocabulary.h), or learned from the run's
                           // own task texts
  TlmBodyConfig size;      // where no checkpoint is given
  DualHeadConfig heads = default_heads();  // its model and prompt levels are those of the labels
  std::int64_t batch_rows = 16;
  double masked_share = 0.2;  // of the words
  // In the order of their use. The first two only where no checkpoint is given; with one, the bottom stays as it came.
  TlmTrainConfig masked = phase(500, 3e-3);  // masked words: the whole body
  TlmTrainConfig joint = phase(500, 2e-3);   // word labels: bottom and score-head
  TlmTrainConfig score =
      phase(100, 1e-3);   // word labels: score-head alone, over the bottom that is frozen from here on
  RankingConfig ranking;  // joint and score: sentences of one context
  TlmTrainConfig decision = phase(500, 2e-3);  // decisions: decision-head alone

  template <typename V>
  void visit(V& v) {
    v.text("body", body,
           "a MobileBERT or BERT checkpoint, or the score/ of another run; empty: one is trained from nothing");
    v.text("vocabulary", vocabulary, "a vocab.txt; empty: next to the body, or learned from the run's own task texts");
    v.section("size", size, "of a body that is trained from nothing");
    v.section("heads", heads, "layers and levels of the heads");
    v.integer("batch_rows", batch_rows, 1, 1 << 20, "rows a step");
    v.number("masked_share", masked_share, 0.01, 0.9, "of the words, in the masked phase");
    v.section("masked", masked, "masked words: the whole body; only without tlm.body");
    v.section("joint", joint, "word labels: bottom and score-head; only without tlm.body");
    v.section("score", score, "word labels: the score-head alone");
    v.section(
        "ranking", ranking,
        "in tlm.joint and tlm.score: sentences of one context by what leaving them out costs; only with tlm.questions");
    v.section("decision", decision, "decisions: the decision-head alone");
  }

  static TlmTrainConfig phase(std::int64_t steps, double learning_rate) {
    TlmTrainConfig config;
    config.steps = steps;
    config.learning_rate = learning_rate;
    return config;
  }
  static DualHeadConfig default_heads() {
    DualHeadConfig heads;
    heads.bottom_layers = 2;
    heads.score_layers = 2;
    heads.decision_layers = 1;
    return heads;
  }
};

// Multiply-adds for a prompt of so many tokens: deciding (shared layers and decision-head), and the score-head on top.
struct TlmCost {
  double decision = 0, score = 0;
};
TlmCost tlm_cost(const DualHead& model, std::int64_t tokens);

}  // namespace elastify
