// Sentences of one context in the order of their worth: a margin ranking loss for the score-head.
#pragma once

#include <vector>

#include "tlm/dual_head.h"
#include "tlm/labelled_rows.h"

namespace elastify {

struct RankingConfig {
  double weight = 1;      // of this loss next to the words' cross-entropy
  double margin = 0.2;    // of probability
  double min_gap = 0.05;  // nats per token

  template <typename V>
  void visit(V& v) {
    v.number("weight", weight, 0, 1e6, "of the ranking loss next to the words' cross-entropy");
    v.number("margin", margin, 0, 1, "of keep probability, by which a better sentence shall be ahead of another");
    v.number("min_gap", min_gap, 0, 100, "nats per token of the answer by which it must be better to count as such");
  }
};

// scores, rises: [rows, sentences]; present: [rows, sentences] bool. Mean over all pairs (a, b) present in one row with
// rises[a] - rises[b] >= min_gap, and above 0, of max(0, margin - (scores[a] - scores[b])); 0, with a graph, where
// there is no such pair.
torch::Tensor pair_margin_loss(const torch::Tensor& scores, const torch::Tensor& rises, const torch::Tensor& present,
                               double margin, double min_gap);

// A sentence's score is its best word's keep probability, by which compression orders sentences. logits: [batch, seq,
// 2]; words: as in TlmBatch; rows: the batch's. A sentence without tokens in its row is not present. 0, with a graph,
// where no row has ranked sentences.
torch::Tensor sentence_ranking_loss(const torch::Tensor& logits, const torch::Tensor& words,
                                    const std::vector<const LabelledRow*>& rows, const RankingConfig& config);

}  // namespace elastify
