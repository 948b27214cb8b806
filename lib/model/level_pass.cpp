#include "model/level_pass.h"

#include "base/error.h"
#include "model/causal_attention.h"
#include "model/row_passes.h"

namespace elastify {
namespace {

using torch::Tensor;

std::size_t at(Target target) { return static_cast<std::size_t>(target); }

// One product that reads an input which others may read too, in the backward pass.
struct Reader {
  Target target;
  Tensor dy;  // [rows, outputs]
};

// Adds the gradients of the factors of all projections that read x. Their low sides stand next to each other, so that
// the products with x are one.
void add_adapter_gradients(const Tensor& x, const std::vector<Reader>& readers, const std::array<LoraPair, 7>& factors,
                           double scale, const std::array<LoraPair, 7>& gradients) {
  std::vector<Tensor> a, u;
  std::vector<const Reader*> adapted;
  for (const Reader& reader : readers) {
    const LoraPair& pair = factors[at(reader.target)];
    if (!pair.defined()) continue;
    adapted.push_back(&reader);
    a.push_back(pair.a);
    u.push_back(torch::mm(reader.dy, pair.b));
  }
  if (adapted.empty()) return;
  const std::int64_t rank = a[0].size(0);
  const Tensor t = torch::mm(x, (a.size() == 1 ? a[0] : torch::cat(a)).t());
  const Tensor da = torch::mm((u.size() == 1 ? u[0] : torch::cat(u, 1)).t(), x);
  for (std::size_t i = 0; i < adapted.size(); ++i) {
    const LoraPair& sum = gradients[at(adapted[i]->target)];
    const std::int64_t first = static_cast<std::int64_t>(i) * rank;
    sum.a.add_(da.narrow(0, first, rank), scale);
    sum.b.add_(torch::mm(adapted[i]->dy.t(), t.narrow(1, first, rank)), scale);
  }
}

}  // namespace

bool has_level_pass(const ModelWeights& weights, std::int64_t seq) {
  const ModelConfig& c = weights.config;
  const bool plain = !c.qk_norm && !c.gelu && !c.half_norms && c.attention_scale == 0 && c.embedding_scale == 1 &&
                     c.turned_dims() == c.head_dim && c.local_rope_theta == 0 &&
                     c.rope_scaling.kind != RopeScaling::Kind::kLongRope;
  return plain && weights.embedding.device().is_cpu() && weights.embedding.scalar_type() == torch::kFloat32 &&
         (c.sliding_window == 0 || c.sliding_window >= seq);
}

// One level's part of a block: views of the merged matrices, its biases and the adapter's factors.
struct LevelPass::LevelBlock {
  const BlockWeights* full = nullptr;
  Matrices m;
  std::array<LoraPair, 7> factors;
  Tensor q_bias, k_bias, v_bias;
  std::int64_t groups = 0, neurons = 0;
  bool turns = true;
};

LevelPass::LevelPass(const ModelWeights& weights, torch::ScalarType type)
    : weights_(weights),
      type_(type),
      rotary_(make_rotary_tables(weights.config, weights.config.max_positions, torch::kCPU, torch::kFloat32)),
      head_(weights.head.to(type).contiguous()) {
  require(has_level_pass(weights, 1), "this model has no written-out pass");
  for (const BlockWeights& block : weights.blocks) {
    Matrices& matrices = merged_.emplace_back();
    for (std::size_t i = 0; i < matrices.size(); ++i)
      matrices[i] = torch::empty((block.*block_matrices()[i].field).sizes(), torch::TensorOptions().dtype(type));
  }
  merge(nullptr);
}

void LevelPass::merge(const Adapter* adapter) {
  const torch::NoGradGuard no_grad;
  factors_ = adapter == nullptr ? Adapter{} : *adapter;
  for (std::size_t layer = 0; layer < merged_.size(); ++layer) {
    for (std::size_t i = 0; i < merged_[layer].size(); ++i) {
      const Tensor weight = weights_.blocks[layer].*block_matrices()[i].field;
      Tensor to = merged_[layer][i];
      if (adapter == nullptr || !adapter->blocks[layer][i].defined()) {
        merge_rows(weight, {}, 0, to);
        continue;
      }
      LoraPair& pair = factors_.blocks[layer][i];
      pair = {pair.a.detach().to(type_).contiguous(), pair.b.detach().to(type_).contiguous()};
      const std::int64_t outputs = pair.b.size(0), inputs = pair.a.size(1);
      if (outputs == 0 || inputs == 0) continue;
      merge_rows(weight.narrow(0, 0, outputs).narrow(1, 0, inputs), torch::mm(pair.b, pair.a), adapter->scale,
                 to.narrow(0, 0, outputs).narrow(1, 0, inputs));
    }
  }
}

LevelPass::LevelBlock LevelPass::cut(std::size_t layer, const LevelWidths& widths) const {
  LevelBlock block;
  block.full = &weights_.blocks[layer];
  block.groups = widths.kv_groups[layer];
  block.neurons = widths.neurons[layer];
  block.turns = weights_.config.turns(static_cast<std::int64_t>(layer));
  const BlockWidths kept = block_widths(weights_.config, block.groups, block.neurons);
  for (std::size_t i = 0; i < block.m.size(); ++i) {
    const BlockTensor& part = block_matrices()[i];
    const std::int64_t extent = part.unit_extent(kept);
    block.m[i] = merged_[layer][i].narrow(part.unit_dimension(), 0, extent);
    if (factors_.blocks.empty() || !factors_.blocks[layer][i].defined()) continue;
    const LoraPair& pair = factors_.blocks[layer][i];
    const bool by_input = part.stored.by_input();
    block.factors[i] = {by_input ? pair.a.narrow(1, 0, extent) : pair.a,
                        by_input ? pair.b : pair.b.narrow(0, 0, extent)};
  }
  const auto head = [&](const Tensor& bias, std::int64_t width) {
    return bias.defined() ? bias.narrow(0, 0, block.groups * width) : bias;
  };
  block.q_bias = head(block.full->q_bias, weights_.config.group_width());
  block.k_bias = head(block.full->k_bias, weights_.config.head_dim);
  block.v_bias = head(block.full->v_bias, weights_.config.head_dim);
  return block;
}

Tensor LevelPass::attention(const LevelBlock& block, const Tensor& x, BlockTrace& trace, std::int64_t batch) const {
  const ModelConfig& c = weights_.config;
  const std::int64_t seq = x.size(0) / batch;
  const Tensor normed = norm_rows(x, block.full->attn_norm, c.rms_norm_eps, type_);
  const Tensor cos = rotary_.usual.cos.narrow(0, 0, seq), sin = rotary_.usual.sin.narrow(0, 0, seq);
  const auto heads = [&](Target target, const Tensor& bias, bool turned) {
    return rows_to_heads(torch::mm(normed, block.m[at(target)].t()), bias, batch, c.head_dim, turned ? cos : Tensor(),
                         turned ? sin : Tensor());
  };
  trace.q = heads(Target::kQ, block.q_bias, block.turns).view({batch * block.groups, -1, seq, c.head_dim});
  trace.k = heads(Target::kK, block.k_bias, block.turns).view({batch * block.groups, seq, c.head_dim});
  trace.v = heads(Target::kV, block.v_bias, false).view({batch * block.groups, seq, c.head_dim});
  const Tensor mixed = causal_attention(trace.q, trace.k, trace.v);
  trace.mixed = heads_to_rows(mixed.view({batch, -1, seq, c.head_dim}), {}, {}, type_);
  return add_rows(x, torch::mm(trace.mixed, block.m[at(Target::kO)].t()), block.full->o_bias);
}

Tensor LevelPass::mlp(const LevelBlock& block, const Tensor& x, BlockTrace& trace) const {
  const Tensor normed = norm_rows(x, block.full->ffn_norm, weights_.config.rms_norm_eps, type_);
  trace.gate = torch::mm(normed, block.m[at(Target::kGate)].t());
  trace.up = torch::mm(normed, block.m[at(Target::kUp)].t());
  return add_rows(x, torch::mm(swiglu_rows(trace.gate, trace.up), block.m[at(Target::kDown)].t()), {});
}

Tensor LevelPass::forward(const Tensor& tokens, const LevelWidths& widths, Trace* trace) const {
  const torch::NoGradGuard no_grad;
  require(tokens.size(1) <= weights_.config.max_positions, "{} tokens exceed the model's context of {}", tokens.size(1),
          weights_.config.max_positions);
  if (trace != nullptr) *trace = {tokens.size(0), tokens.size(1), {}, {}};
  Tensor x = weights_.embedding.index_select(0, tokens.flatten());
  for (std::size_t layer = 0; layer < merged_.size(); ++layer) {
    const LevelBlock block = cut(layer, widths);
    BlockTrace kept;
    kept.x = x;
    if (block.groups > 0) x = attention(block, x, kept, tokens.size(0));
    kept.after = x;
    if (block.neurons > 0) x = mlp(block, x, kept);
    if (trace != nullptr) trace->blocks.push_back(std::move(kept));
  }
  if (trace != nullptr) trace->last = x;
  return norm_rows(x, weights_.final_norm, weights_.config.rms_norm_eps, type_);
}

void LevelPass::mlp_backward(const LevelBlock& block, const BlockTrace& trace, const std::array<LoraPair, 7>& gradients,
                             Tensor& d_residual) const {
  const double eps = weights_.config.rms_norm_eps;
  const Tensor dy = d_residual.to(type_);
  const Tensor neurons = swiglu_rows(trace.gate, trace.up);
  add_adapter_gradients(neurons, {{Target::kDown, dy}}, block.factors, factors_.scale, gradients);
  const auto d = swiglu_rows_backward(trace.gate, trace.up, torch::mm(dy, block.m[at(Target::kDown)]));
  const Tensor normed = norm_rows(trace.after, block.full->ffn_norm, eps, type_);
  add_adapter_gradients(normed, {{Target::kGate, d.gate}, {Target::kUp, d.up}}, block.factors, factors_.scale,
                        gradients);
  norm_rows_backward(trace.after, block.full->ffn_norm, eps,
                     {torch::mm(d.gate, block.m[at(Target::kGate)]), torch::mm(d.up, block.m[at(Target::kUp)])},
                     d_residual);
}

void LevelPass::attention_backward(const LevelBlock& block, const BlockTrace& trace, std::int64_t batch,
                                   const std::array<LoraPair, 7>& gradients, Tensor& d_residual) const {
  const ModelConfig& c = weights_.config;
  const std::int64_t seq = trace.x.size(0) / batch;
  const Tensor dy = d_residual.to(type_);
  add_adapter_gradients(trace.mixed, {{Target::kO, dy}}, block.factors, factors_.scale, gradients);
  const Tensor d_mixed = rows_to_heads(torch::mm(dy, block.m[at(Target::kO)]), {}, batch, c.head_dim, {}, {});
  const auto d = causal_attention_backward(trace.q, trace.k, trace.v, d_mixed.view(trace.q.sizes()));
  const Tensor cos = rotary_.usual.cos.narrow(0, 0, seq), sin = rotary_.usual.sin.narrow(0, 0, seq);
  const auto rows = [&](const Tensor& heads, bool turned) {
    return heads_to_rows(heads.view({batch, -1, seq, c.head_dim}), turned ? cos : Tensor(), turned ? sin : Tensor(),
                         type_);
  };
  const Tensor dq = rows(d.q, block.turns), dk = rows(d.k, block.turns), dv = rows(d.v, false);
  const Tensor normed = norm_rows(trace.x, block.full->attn_norm, c.rms_norm_eps, type_);
  add_adapter_gradients(normed, {{Target::kQ, dq}, {Target::kK, dk}, {Target::kV, dv}}, block.factors, factors_.scale,
                        gradients);
  norm_rows_backward(trace.x, block.full->attn_norm, c.rms_norm_eps,
                     {torch::mm(dq, block.m[at(Target::kQ)]), torch::mm(dk, block.m[at(Target::kK)]),
                      torch::mm(dv, block.m[at(Target::kV)])},
                     d_residual);
}

void LevelPass::backward(const Trace& trace, const LevelWidths& widths, const Tensor& d_states,
                         const Adapter& gradients) const {
  const torch::NoGradGuard no_grad;
  Tensor d_residual = torch::zeros(trace.last.sizes(), trace.last.options());
  norm_rows_backward(trace.last, weights_.final_norm, weights_.config.rms_norm_eps, {d_states}, d_residual);
  for (std::size_t layer = trace.blocks.size(); layer-- > 0;) {
    const LevelBlock block = cut(layer, widths);
    const BlockTrace& kept = trace.blocks[layer];
    if (block.neurons > 0) mlp_backward(block, kept, gradients.blocks[layer], d_residual);
    if (block.groups > 0) attention_backward(block, kept, trace.batch, gradients.blocks[layer], d_residual);
  }
}

}  // namespace elastify
