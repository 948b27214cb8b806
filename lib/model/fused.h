// The parts of a block that are not matrix products, each as one operation with a hand-written gradient. Run step by
// step, they take as long as the products on a CPU; these take a fraction. For float32 tensors on the CPU; may_fuse()
// tells.
#pragma once

#include "base/torch.h"
#include "model/matrix_product.h"

namespace elastify {

bool may_fuse(const torch::Tensor& x);  // float32, CPU

// x: [.., n], weight: [n]: as rms_norm() in decoder.h.
torch::Tensor fused_rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);

// silu(gate) * up, equal shapes (Shazeer 2020).
torch::Tensor fused_swiglu(const torch::Tensor& gate, const torch::Tensor& up);

// x: [batch, seq, heads * head_dim] to [batch, heads, seq, head_dim], turned by the rotary tables [seq, head_dim / 2];
// undefined tables turn nothing.
torch::Tensor fused_split_heads(const torch::Tensor& x, std::int64_t head_dim, const torch::Tensor& cos,
                                const torch::Tensor& sin);

// Causal attention of q [batch, heads, seq, head_dim] over k, v [batch, groups, seq, head_dim], heads / groups queries
// sharing a group: [batch, heads, seq, head_dim]. Scores are scaled by 1 / sqrt(head_dim).
torch::Tensor fused_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                              ProductType products = ProductType::kFloat32);

}  // namespace elastify
