// The LM head and the loss after it, taken in pieces of rows: no logits of a whole batch exist, and the gradient with
// respect to the final hidden states is written out instead of recorded.
#pragma once

#include <cstdint>

#include "base/torch.h"

namespace elastify {

// A teacher's next-token distribution: its most likely tokens. What they leave of the probability counts as one token
// "any other".
struct TopTokens {
  torch::Tensor ids;  // [rows, k] int32, most likely first
  torch::Tensor
      log;  // [rows, k] log-probabilities at the objective's temperature: float32 (float64 for float64 states)
  bool defined() const { return ids.defined(); }
};

struct Objective {
  double distill_weight = 1;  // w
  double temperature = 1;     // T
  double scale = 1;           // multiplies the gradient: one over the targets of the whole step
};

struct HeadLoss {
  torch::Tensor losses;    // [rows] float32 (float64 for float64 states), not scaled
  torch::Tensor gradient;  // scale * d sum(losses) / d states, as `states`; undefined where it was not asked for
};

// Per row, with p = softmax(logits), p_T the same at temperature T and q the teacher's distribution at temperature T,
// both over the teacher's k tokens and "any other":
//   loss = w T^2 KL(q || p_T) - (1 - w) log p[target]        (Hinton et al. 2015; T^2 keeps gradients of one size)
//   d loss / d logit_i = w T (p_T,i - q_i) + (1 - w) (p_i - [i = target]), where for a token that is not among the k
//   q_i is the teacher's rest, shared in proportion to p_T
// states: [rows, hidden]; head: [vocab, hidden], of the same type; targets: [rows] int64, all counted. `teacher` may be
// undefined: then w is 0. bfloat16 products (fast where the processor has them) round logits to 8 bits of mantissa.
HeadLoss head_loss(const torch::Tensor& states, const torch::Tensor& head, const torch::Tensor& targets,
                   const TopTokens& teacher, const Objective& objective, bool with_gradient);

// Rows of logits that exist at a time: some 8 million values.
std::int64_t logit_rows_at_once(std::int64_t vocab);

// The k most likely tokens of every row, k at most the vocabulary.
TopTokens top_tokens(const torch::Tensor& states, const torch::Tensor& head, std::int64_t k, double temperature);

}  // namespace elastify
