// The parts of a level's pass that are not matrix products, over rows of float32 or bfloat16 (see typed_rows.h), each
// with its gradient as a function of its own.
#pragma once

#include "base/torch.h"

namespace elastify {

// x: [rows, n] float32; weight: [n] float32. rms_norm(x) in `type`.
torch::Tensor norm_rows(const torch::Tensor& x, const torch::Tensor& weight, double eps, torch::ScalarType type);
// d_x += the gradient with respect to x, from dy = the sum of `d_normed` ([rows, n] each).
void norm_rows_backward(const torch::Tensor& x, const torch::Tensor& weight, double eps,
                        const std::vector<torch::Tensor>& d_normed, torch::Tensor& d_x);

// silu(gate) * up, [rows, n].
torch::Tensor swiglu_rows(const torch::Tensor& gate, const torch::Tensor& up);
struct GatedGradients {
  torch::Tensor gate, up;
};
GatedGradients swiglu_rows_backward(const torch::Tensor& gate, const torch::Tensor& up, const torch::Tensor& dy);

// [batch * seq, heads * head_dim] plus bias (may be undefined) to [batch, heads, seq, head_dim], turned by the rotary
// tables [seq, head_dim / 2] (undefined: not turned).
torch::Tensor rows_to_heads(const torch::Tensor& rows, const torch::Tensor& bias, std::int64_t batch,
                            std::int64_t head_dim, const torch::Tensor& cos, const torch::Tensor& sin);
// Back, turned the other way, as [batch * seq, heads * head_dim] in `type`; no bias.
torch::Tensor heads_to_rows(const torch::Tensor& heads, const torch::Tensor& cos, const torch::Tensor& sin,
                            torch::ScalarType type);

// x + y (+ bias): x float32, y in either type, [rows, n]; bias [n] float32 or undefined. A new tensor.
torch::Tensor add_rows(const torch::Tensor& x, const torch::Tensor& y, const torch::Tensor& bias);
// to = round(w + s delta): w [rows, n] float32, delta [rows, n] or undefined, to [rows, n]; any row strides.
void merge_rows(const torch::Tensor& w, const torch::Tensor& delta, double s, torch::Tensor to);

}  // namespace elastify
