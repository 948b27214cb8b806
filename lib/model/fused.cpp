#include "model/fused.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "model/causal_attention.h"
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

struct CausalAttention : Function<CausalAttention> {
  // As causal_attention(), with float32 on both sides; `half` rounds the operands to bfloat16.
  static Tensor forward(AutogradContext* context, const Tensor& q_in, const Tensor& k_in, const Tensor& v_in,
                        bool half) {
    const auto type = half ? torch::kBFloat16 : torch::kFloat32;
    const Tensor q = q_in.to(type), k = k_in.to(type), v = v_in.to(type);
    context->save_for_backward({q, k, v});
    return causal_attention(q, k, v).to(torch::kFloat32);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto d = causal_attention_backward(saved[0], saved[1], saved[2], gradients[0].to(saved[0].scalar_type()));
    return {d.q, d.k, d.v, Tensor()};
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
