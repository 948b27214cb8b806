#include "model/fused.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "model/fused_kernels.h"

namespace elastify {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Rows a thread takes at least.
constexpr std::int64_t kGrain = 16;

struct RmsNorm : Function<RmsNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight, double eps) {
    const Tensor x = input.contiguous();
    const std::int64_t n = x.size(-1), rows = x.numel() / n;
    Tensor y = torch::empty_like(x), scale = torch::empty({rows}, x.options());
    at::parallel_for(0, rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        scale.data_ptr<float>()[r] = kernels::rms_norm(x.data_ptr<float>() + r * n, weight.data_ptr<float>(),
                                                       static_cast<float>(eps), n, y.data_ptr<float>() + r * n);
      }
    });
    context->save_for_backward({x, weight, scale});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    constexpr std::int64_t kChunks =
        64;  // weight gradients are summed chunk by chunk: no result depends on the threads
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &scale = saved[2], dy = gradients[0].contiguous();
    const std::int64_t n = x.size(-1), rows = x.numel() / n, chunk = (rows + kChunks - 1) / kChunks;
    const bool wants_weight = context->needs_input_grad(1);
    Tensor dx = torch::empty_like(x), dw = wants_weight ? torch::zeros({kChunks, n}, x.options()) : Tensor();
    at::parallel_for(0, kChunks, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t c = first; c < last; ++c) {
        for (std::int64_t r = c * chunk; r < std::min(rows, (c + 1) * chunk); ++r) {
          kernels::rms_norm_backward(x.data_ptr<float>() + r * n, weight.data_ptr<float>(),
                                     dy.data_ptr<float>() + r * n, scale.data_ptr<float>()[r], n,
                                     dx.data_ptr<float>() + r * n,
                                     wants_weight ? dw.data_ptr<float>() + c * n : nullptr);
        }
      }
    });
    return {dx, wants_weight ? dw.sum(0) : Tensor(), Tensor()};
  }
};

struct Swiglu : Function<Swiglu> {
  static Tensor forward(AutogradContext* context, const Tensor& gate_in, const Tensor& up_in) {
    const Tensor gate = gate_in.contiguous(), up = up_in.contiguous();
    Tensor y = torch::empty_like(gate);
    at::parallel_for(0, gate.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
      kernels::swiglu(gate.data_ptr<float>() + begin, up.data_ptr<float>() + begin, end - begin,
                      y.data_ptr<float>() + begin);
    });
    context->save_for_backward({gate, up});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &gate = saved[0], &up = saved[1], dy = gradients[0].contiguous();
    Tensor dg = torch::empty_like(gate), du = torch::empty_like(up);
    at::parallel_for(0, gate.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
      kernels::swiglu_backward(gate.data_ptr<float>() + begin, up.data_ptr<float>() + begin,
                               dy.data_ptr<float>() + begin, end - begin, dg.data_ptr<float>() + begin,
                               du.data_ptr<float>() + begin);
    });
    return {dg, du};
  }
};

// [batch, seq, heads, width] to [batch, heads, seq, width] (or back), turning pairs on the way.
Tensor transpose_heads(const Tensor& x, const Tensor& cos, const Tensor& sin, float sign, bool back) {
  const std::int64_t batch = x.size(0), width = x.size(3);
  const std::int64_t seq = back ? x.size(2) : x.size(1), heads = back ? x.size(1) : x.size(2);
  Tensor out = torch::empty(
      back ? std::vector<std::int64_t>{batch, seq, heads, width} : std::vector<std::int64_t>{batch, heads, seq, width},
      x.options());
  at::parallel_for(0, batch * seq, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t b = row / seq, s = row % seq;
      for (std::int64_t h = 0; h < heads; ++h) {
        const std::int64_t flat = (row * heads + h) * width, split = ((b * heads + h) * seq + s) * width;
        const float* from = x.data_ptr<float>() + (back ? split : flat);
        float* to = out.data_ptr<float>() + (back ? flat : split);
        if (cos.numel() > 0)
          kernels::rotate(from, cos.data_ptr<float>() + s * width / 2, sin.data_ptr<float>() + s * width / 2, sign,
                          width / 2, to);
        else
          std::copy(from, from + width, to);
      }
    }
  });
  return out;
}

struct SplitHeads : Function<SplitHeads> {
  static Tensor forward(AutogradContext* context, const Tensor& x, std::int64_t head_dim, const Tensor& cos,
                        const Tensor& sin) {
    context->save_for_backward({cos, sin});
    return transpose_heads(x.contiguous().view({x.size(0), x.size(1), -1, head_dim}), cos, sin, 1, false);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {transpose_heads(gradients[0].contiguous(), saved[0], saved[1], -1, true).flatten(2), Tensor(), Tensor(),
            Tensor()};
  }
};

// Queries are taken in pieces of so many positions: a piece reads no key after its last position, which saves almost
// half of a long sequence's products.
constexpr std::int64_t kQueryPiece = 128;

// Runs f(first row of a matrix of scores, its index, keys that it may see) over scores [matrices, queries * piece,
// keys] of the query positions from `begin` on. bfloat16 rows are widened on the way in and rounded on the way out.
template <typename RowFunction>
void for_causal_rows(Tensor& scores, std::int64_t begin, std::int64_t piece, RowFunction f) {
  const std::int64_t keys = scores.size(2), rows = scores.size(0) * scores.size(1);
  const bool half = scores.scalar_type() == torch::kBFloat16;
  at::parallel_for(0, rows, kGrain, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> wide(half ? static_cast<std::size_t>(keys) : 0);
    for (std::int64_t r = first; r < last; ++r) {
      const std::int64_t valid = begin + r % piece + 1;
      if (!half) {
        f(scores.data_ptr<float>() + r * keys, r, valid);
        continue;
      }
      auto* row = reinterpret_cast<std::uint16_t*>(scores.data_ptr<at::BFloat16>()) + r * keys;
      kernels::widen(row, valid, wide.data());
      f(wide.data(), r, valid);
      kernels::round_to_bfloat16(wide.data(), keys, row);
    }
  });
}

// Positions [begin, begin + count) of x: [matrices, queries, seq, width] as [matrices, queries * count, width].
Tensor query_piece(const Tensor& x, std::int64_t begin, std::int64_t count) {
  return x.narrow(2, begin, count).reshape({x.size(0), -1, x.size(3)});
}

struct CausalAttention : Function<CausalAttention> {
  // q: [batch * groups, queries, seq, width]; k, v: [batch * groups, seq, width], all float32, as is the result, shaped
  // as q.
  static Tensor forward(AutogradContext* context, const Tensor& q_in, const Tensor& k_in, const Tensor& v_in,
                        bool half) {
    const auto type = half ? torch::kBFloat16 : torch::kFloat32;
    const Tensor q = q_in.to(type), k = k_in.to(type), v = v_in.to(type);
    const std::int64_t seq = q.size(2);
    const float scale = 1 / std::sqrt(static_cast<float>(q.size(3)));
    variable_list saved = {q, k, v};
    Tensor mixed = torch::empty_like(q_in);
    for (std::int64_t begin = 0; begin < seq; begin += kQueryPiece) {
      const std::int64_t count = std::min(kQueryPiece, seq - begin), keys = begin + count;
      Tensor weights = torch::bmm(query_piece(q, begin, count), k.narrow(1, 0, keys).transpose(1, 2));
      for_causal_rows(weights, begin, count, [&](float* row, std::int64_t, std::int64_t valid) {
        kernels::softmax_prefix(row, scale, valid, keys);
      });
      mixed.narrow(2, begin, count)
          .copy_(torch::bmm(weights, v.narrow(1, 0, keys)).view({q.size(0), -1, count, q.size(3)}));
      saved.push_back(weights);
    }
    context->save_for_backward(saved);
    return mixed;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], dy = gradients[0].to(q.scalar_type());
    const std::int64_t seq = q.size(2);
    const float scale = 1 / std::sqrt(static_cast<float>(q.size(3)));
    const auto wide = torch::TensorOptions().dtype(torch::kFloat32);
    Tensor dq = torch::empty(q.sizes(), wide), dk = torch::zeros(k.sizes(), wide), dv = torch::zeros(v.sizes(), wide);
    for (std::int64_t begin = 0, i = 3; begin < seq; begin += kQueryPiece, ++i) {
      const std::int64_t count = std::min(kQueryPiece, seq - begin), keys = begin + count;
      const Tensor& weights = saved[static_cast<std::size_t>(i)];
      const Tensor dy_piece = query_piece(dy, begin, count), q_piece = query_piece(q, begin, count);
      dv.narrow(1, 0, keys).add_(torch::bmm(weights.transpose(1, 2), dy_piece));
      Tensor scores = torch::bmm(dy_piece, v.narrow(1, 0, keys).transpose(1, 2));
      softmax_backward(weights, scores, begin, count, scale);
      dq.narrow(2, begin, count)
          .copy_(torch::bmm(scores, k.narrow(1, 0, keys)).view({q.size(0), -1, count, q.size(3)}));
      dk.narrow(1, 0, keys).add_(torch::bmm(scores.transpose(1, 2), q_piece));
    }
    return {dq, dk, dv, Tensor()};
  }

  // `scores` holds the gradient of the weights and becomes that of the scores before scaling.
  static void softmax_backward(const Tensor& weights, Tensor& scores, std::int64_t begin, std::int64_t count,
                               float scale) {
    const std::int64_t keys = scores.size(2);
    if (scores.scalar_type() == torch::kFloat32) {
      const float* p = weights.data_ptr<float>();
      for_causal_rows(scores, begin, count, [&](float* row, std::int64_t r, std::int64_t valid) {
        kernels::softmax_prefix_backward(p + r * keys, row, scale, valid, keys);
      });
      return;
    }
    const auto* p = reinterpret_cast<const std::uint16_t*>(weights.data_ptr<at::BFloat16>());
    for_causal_rows(scores, begin, count, [&](float* row, std::int64_t r, std::int64_t valid) {
      thread_local std::vector<float> wide;
      wide.resize(static_cast<std::size_t>(keys));
      kernels::widen(p + r * keys, valid, wide.data());
      kernels::softmax_prefix_backward(wide.data(), row, scale, valid, keys);
    });
  }
};

}  // namespace

bool may_fuse(const Tensor& x) { return x.scalar_type() == torch::kFloat32 && x.device().is_cpu(); }

Tensor fused_rms_norm(const Tensor& x, const Tensor& weight, double eps) { return RmsNorm::apply(x, weight, eps); }

Tensor fused_swiglu(const Tensor& gate, const Tensor& up) { return Swiglu::apply(gate, up); }

Tensor fused_split_heads(const Tensor& x, std::int64_t head_dim, const Tensor& cos, const Tensor& sin) {
  const Tensor none = torch::empty({0}, x.options());  // autograd functions take no undefined tensors
  return SplitHeads::apply(x, head_dim, cos.defined() ? cos.contiguous() : none,
                           sin.defined() ? sin.contiguous() : none);
}

Tensor fused_attention(const Tensor& q, const Tensor& k, const Tensor& v, ProductType products) {
  const std::int64_t batch = q.size(0), seq = q.size(2), width = q.size(3), groups = k.size(1);
  const bool half = products == ProductType::kBfloat16 && multiplies_bfloat16(q.device());
  const Tensor mixed =
      CausalAttention::apply(q.reshape({batch * groups, -1, seq, width}), k.reshape({batch * groups, seq, width}),
                             v.reshape({batch * groups, seq, width}), half);
  return mixed.view(q.sizes());
}

}  // namespace elastify
