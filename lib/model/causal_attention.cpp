#include "model/causal_attention.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "model/typed_rows.h"

namespace elastify {
namespace {

using torch::Tensor;

// Queries are taken in pieces of so many positions: a piece reads no key after its last position, which saves almost
// half of a long sequence's products.
constexpr std::int64_t kQueryPiece = 128;
constexpr std::int64_t kGrain = 16;  // rows a thread takes at least

// Positions [begin, begin + count) of x: [matrices, queries, seq, width] as [matrices, queries * count, width].
Tensor query_piece(const Tensor& x, std::int64_t begin, std::int64_t count) {
  return x.narrow(2, begin, count).reshape({x.size(0), -1, x.size(3)});
}

// Runs f(row of scores, its index, keys that it may see) over scores [matrices, queries * count, keys] of the query
// positions from `begin` on, and writes the rows back.
template <typename RowFunction>
void for_causal_rows(const Tensor& scores, std::int64_t begin, std::int64_t count, RowFunction f) {
  const std::int64_t keys = scores.size(2), rows = scores.size(0) * scores.size(1);
  at::parallel_for(0, rows, kGrain, [&](std::int64_t first, std::int64_t last) {
    RowBuffer buffer(static_cast<std::size_t>(keys));
    for (std::int64_t r = first; r < last; ++r) {
      auto* row = const_cast<float*>(read_row(scores, r, buffer));
      f(row, r, begin + r % count + 1);
      if (row == buffer.data()) write_row(scores, r, row);
    }
  });
}

// softmax(scale q k^T) of one piece: [matrices, queries * count, keys].
Tensor piece_weights(const Tensor& q_piece, const Tensor& keys, std::int64_t begin, std::int64_t count) {
  const float scale = 1 / std::sqrt(static_cast<float>(q_piece.size(2)));
  Tensor weights = torch::bmm(q_piece, keys.transpose(1, 2));
  for_causal_rows(weights, begin, count, [&](float* row, std::int64_t, std::int64_t valid) {
    kernels::softmax_prefix(row, scale, valid, weights.size(2));
  });
  return weights;
}

// `scores` holds the gradient of the weights and becomes that of the scores before scaling.
void softmax_backward_inplace(const Tensor& weights, const Tensor& scores, std::int64_t begin, std::int64_t count,
                              float scale) {
  for_causal_rows(scores, begin, count, [&](float* row, std::int64_t r, std::int64_t valid) {
    thread_local RowBuffer buffer;
    kernels::softmax_prefix_backward(read_row(weights, r, buffer), row, scale, valid, scores.size(2));
  });
}

}  // namespace

Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const torch::NoGradGuard no_grad;
  const std::int64_t seq = q.size(2);
  Tensor mixed = torch::empty_like(q);
  for (std::int64_t begin = 0; begin < seq; begin += kQueryPiece) {
    const std::int64_t count = std::min(kQueryPiece, seq - begin), keys = begin + count;
    const Tensor weights = piece_weights(query_piece(q, begin, count), k.narrow(1, 0, keys), begin, count);
    mixed.narrow(2, begin, count)
        .copy_(torch::bmm(weights, v.narrow(1, 0, keys)).view({q.size(0), -1, count, q.size(3)}));
  }
  return mixed;
}

AttentionGradients causal_attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& d_mixed) {
  const torch::NoGradGuard no_grad;
  const std::int64_t seq = q.size(2);
  const float scale = 1 / std::sqrt(static_cast<float>(q.size(3)));
  const auto wide = torch::TensorOptions().dtype(torch::kFloat32);
  AttentionGradients d{torch::empty(q.sizes(), wide), torch::zeros(k.sizes(), wide), torch::zeros(v.sizes(), wide)};
  for (std::int64_t begin = 0; begin < seq; begin += kQueryPiece) {
    const std::int64_t count = std::min(kQueryPiece, seq - begin), keys = begin + count;
    const Tensor q_piece = query_piece(q, begin, count), dy = query_piece(d_mixed, begin, count);
    const Tensor weights = piece_weights(q_piece, k.narrow(1, 0, keys), begin, count);
    d.v.narrow(1, 0, keys).add_(torch::bmm(weights.transpose(1, 2), dy));
    const Tensor scores = torch::bmm(dy, v.narrow(1, 0, keys).transpose(1, 2));
    softmax_backward_inplace(weights, scores, begin, count, scale);
    d.q.narrow(2, begin, count).copy_(torch::bmm(scores, k.narrow(1, 0, keys)).view({q.size(0), -1, count, q.size(3)}));
    d.k.narrow(1, 0, keys).add_(torch::bmm(scores.transpose(1, 2), q_piece));
  }
  return d;
}

}  // namespace elastify
