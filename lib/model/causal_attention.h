// Causal attention over whole sequences with its gradient written out: weights are computed again in the backward pass
// instead of kept, a piece of the queries at a time, so memory is linear in the sequence (as in Dao et al. 2022).
#pragma once

#include "base/torch.h"

namespace elastify {

// q: [matrices, queries, seq, width]; k, v: [matrices, seq, width], a matrix being one KV group of one row of the batch
// and queries its query heads. float32 or bfloat16 (products and weights rounded, sums in float32), on the CPU.
// Scores are scaled by 1 / sqrt(width). The result is shaped and typed as q.
torch::Tensor causal_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v);

struct AttentionGradients {
  torch::Tensor q, k, v;  // float32, shaped as the inputs
};
AttentionGradients causal_attention_backward(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                             const torch::Tensor& d_mixed);

}  // namespace elastify
