#include "model/decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "model/fused.h"

namespace elastify {
namespace {

// y = W x + bias + s B (A drop(x)). The base stays frozen, so only the adapter's factors and x receive gradients.
// Rows are flattened so that the adapter's part is one matrix product that adds in place.
torch::Tensor project(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                      const ForwardOptions& options, std::int64_t layer, Target target, const torch::Tensor& dropped) {
  const auto plain = [&](const torch::Tensor& in) {
    return bias.defined() ? torch::linear(in, weight, bias) : linear_product(in, weight, options.products);
  };
  if (options.adapter == nullptr) return plain(x);
  const LoraPair& pair = options.adapter->blocks[static_cast<std::size_t>(layer)][static_cast<std::size_t>(target)];
  if (!pair.defined()) return plain(x);
  torch::Tensor y = plain(x.flatten(0, -2));
  const torch::Tensor low = torch::linear(dropped.flatten(0, -2), pair.a.to(x.scalar_type()));
  y.addmm_(low, pair.b.to(x.scalar_type()).t(), 1, options.adapter->scale);
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return y.view(sizes);
}

// One dropout mask for all projections that read the same x.
torch::Tensor drop(const torch::Tensor& x, const ForwardOptions& options) {
  if (options.adapter == nullptr || !options.training || options.adapter->dropout == 0) return x;
  return torch::dropout(x, options.adapter->dropout, true);
}

// x: [batch, heads, seq, head_dim]; of the dimensions that turn, the first, i and i + turned/2 turn together.
torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& cos, const torch::Tensor& sin) {
  if (!cos.defined()) return x;
  const std::int64_t half = cos.size(-1), rest = x.size(-1) - 2 * half;
  const torch::Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
  std::vector<torch::Tensor> parts = {a * cos - b * sin, b * cos + a * sin};
  if (rest > 0) parts.push_back(x.narrow(-1, 2 * half, rest));
  return torch::cat(parts, -1);
}

// [seq, keys] additive mask: 0 where query `past + i` may see key j, else -inf.
torch::Tensor causal_mask(std::int64_t past, std::int64_t seq, std::int64_t window, const torch::Tensor& like) {
  const auto options = torch::TensorOptions().device(like.device()).dtype(torch::kInt64);
  const torch::Tensor query = torch::arange(past, past + seq, options).unsqueeze(1);
  const torch::Tensor key = torch::arange(past + seq, options).unsqueeze(0);
  torch::Tensor hidden = key > query;
  if (window > 0) hidden = hidden | (key <= query - window);
  return torch::zeros({seq, past + seq}, like.options()).masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

// Queries of a group share its keys: [batch, groups, queries * seq, head_dim] against [batch, groups, keys, head_dim].
torch::Tensor grouped_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                std::int64_t window) {
  const std::int64_t batch = q.size(0), heads = q.size(1), seq = q.size(2), width = q.size(3);
  const std::int64_t groups = k.size(1), keys = k.size(2), queries = heads / groups;
  const torch::Tensor scaled =
      (q * (1 / std::sqrt(static_cast<double>(width)))).reshape({batch, groups, queries * seq, width});
  torch::Tensor scores = torch::matmul(scaled, k.transpose(-1, -2)).view({batch, groups, queries, seq, keys});
  if (seq > 1 || window > 0) scores = scores + causal_mask(keys - seq, seq, window, scores);
  const torch::Tensor weights = torch::softmax(scores, -1).view({batch, groups, queries * seq, keys});
  return torch::matmul(weights, v).view({batch, heads, seq, width});
}

}  // namespace

torch::Tensor rotary_frequencies(const ModelConfig& config, RotarySet set) {
  const double base = set == RotarySet::kWindow ? config.local_rope_theta : config.rope_theta;
  const torch::Tensor even = torch::arange(0, config.turned_dims(), 2, torch::kFloat64);
  const torch::Tensor plain = torch::pow(base, -even / static_cast<double>(config.turned_dims()));
  const RopeScaling& s = config.rope_scaling;
  if (s.kind == RopeScaling::Kind::kNone || set == RotarySet::kWindow) return plain;
  if (s.kind == RopeScaling::Kind::kLinear) return plain / s.factor;
  if (s.kind == RopeScaling::Kind::kLongRope)
    return plain / torch::tensor(set == RotarySet::kLongText ? s.long_factors : s.short_factors, torch::kFloat64);
  const double original = static_cast<double>(s.original_max_positions);
  const torch::Tensor wavelength = 2 * M_PI / plain;
  const torch::Tensor blend = (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  const torch::Tensor smooth = (1 - blend) * plain / s.factor + blend * plain;
  torch::Tensor scaled = torch::where(wavelength > original / s.low_freq_factor, plain / s.factor, smooth);
  return torch::where(wavelength < original / s.high_freq_factor, plain, scaled);
}

RotaryTables make_rotary_tables(const ModelConfig& config, std::int64_t positions, torch::Device device,
                                torch::ScalarType dtype) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto make = [&](RotarySet set, std::int64_t rows) -> RotaryTable {
    const torch::Tensor angles = torch::outer(torch::arange(rows, torch::kFloat64), rotary_frequencies(config, set));
    return {(angles.cos() * scaling.magnitude).to(device, dtype), (angles.sin() * scaling.magnitude).to(device, dtype)};
  };
  const bool by_length = scaling.kind == RopeScaling::Kind::kLongRope;
  RotaryTables tables;
  tables.usual = make(RotarySet::kUsual, by_length ? std::min(positions, scaling.original_max_positions) : positions);
  if (by_length && positions > scaling.original_max_positions) tables.long_text = make(RotarySet::kLongText, positions);
  if (config.local_rope_theta > 0) tables.window = make(RotarySet::kWindow, positions);
  return tables;
}

const RotaryTable* RotaryTables::of(const ModelConfig& config, std::int64_t layer, std::int64_t tokens) const {
  if (!config.turns(layer)) return nullptr;
  if (window.cos.defined() && config.windowed(layer)) return &window;
  return long_text.cos.defined() && tokens > usual.cos.size(0) ? &long_text : &usual;
}

torch::Tensor embed_tokens(const torch::Tensor& embedding, const torch::Tensor& tokens, const ModelConfig& config) {
  const torch::Tensor x = torch::embedding(embedding, tokens);
  return config.embedding_scale == 1 ? x : x * config.embedding_scale;
}

torch::Tensor added(const torch::Tensor& y, const torch::Tensor& norm, double eps) {
  return norm.defined() ? rms_norm(y, norm, eps) : y;
}

torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  if (may_fuse(x) && may_fuse(weight)) return fused_rms_norm(x, weight, eps);
  // Half types square in float32, as the reference implementations do.
  const auto wide = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const torch::Tensor high = x.to(wide);
  return (high * torch::rsqrt(high.square().mean(-1, true) + eps)).to(x.scalar_type()) * weight;
}

namespace {

// Queries, keys and values of every head, rotated: [batch, heads, seq, head_dim].
struct Heads {
  torch::Tensor q, k, v;
};

Heads split_heads(const BlockWeights& w, const ModelConfig& c, const torch::Tensor& cos, const torch::Tensor& sin,
                  torch::Tensor q, torch::Tensor k, const torch::Tensor& v) {
  const auto heads = [&](const torch::Tensor& y) { return y.view({y.size(0), y.size(1), -1, c.head_dim}); };
  if (w.q_norm.defined()) {
    q = rms_norm(heads(q), w.q_norm, c.rms_norm_eps).flatten(2);
    k = rms_norm(heads(k), w.k_norm, c.rms_norm_eps).flatten(2);
  }
  const bool whole = !cos.defined() || 2 * cos.size(-1) == c.head_dim;
  if (may_fuse(q) && whole)
    return {fused_split_heads(q, c.head_dim, cos, sin), fused_split_heads(k, c.head_dim, cos, sin),
            fused_split_heads(v, c.head_dim, {}, {})};
  return {rotate(heads(q).transpose(1, 2), cos, sin), rotate(heads(k).transpose(1, 2), cos, sin),
          heads(v).transpose(1, 2)};
}

torch::Tensor attention_forward(const BlockWeights& w, const ModelConfig& c, const RotaryTables& rotary,
                                std::int64_t layer, const torch::Tensor& x, const ForwardOptions& options) {
  const std::int64_t batch = x.size(0), seq = x.size(1), past = options.cache != nullptr ? options.cache->tokens : 0;
  const torch::Tensor dropped = drop(x, options);
  const RotaryTable* table = rotary.of(c, layer, past + seq);
  const auto positions = [&](const torch::Tensor& all) { return all.narrow(0, past, seq); };
  auto [q, k, v] = split_heads(w, c, table == nullptr ? torch::Tensor() : positions(table->cos),
                               table == nullptr ? torch::Tensor() : positions(table->sin),
                               project(x, w.q, w.q_bias, options, layer, Target::kQ, dropped),
                               project(x, w.k, w.k_bias, options, layer, Target::kK, dropped),
                               project(x, w.v, w.v_bias, options, layer, Target::kV, dropped));
  if (options.cache != nullptr) {
    auto& keys = options.cache->keys[static_cast<std::size_t>(layer)];
    auto& values = options.cache->values[static_cast<std::size_t>(layer)];
    keys = keys.defined() ? torch::cat({keys, k}, 2) : k;
    values = values.defined() ? torch::cat({values, v}, 2) : v;
    k = keys;
    v = values;
  }
  if (c.attention_scale > 0) q = q * (c.attention_scale * std::sqrt(static_cast<double>(c.head_dim)));
  const std::int64_t window = c.window(layer);
  const bool fuse = may_fuse(q) && past == 0 && (window == 0 || window >= seq);
  torch::Tensor mixed = fuse ? fused_attention(q, k, v, options.products) : grouped_attention(q, k, v, window);
  mixed = mixed.transpose(1, 2).reshape({batch, seq, -1});
  if (options.tap) mixed = options.tap(layer, UnitKind::kGroup, mixed);
  return project(mixed, w.o, w.o_bias, options, layer, Target::kO, drop(mixed, options));
}

torch::Tensor gated(const torch::Tensor& gate, const torch::Tensor& up, bool gelu) {
  if (gelu) return torch::gelu(gate, "tanh") * up;
  return may_fuse(gate) ? fused_swiglu(gate, up) : torch::silu(gate) * up;
}

torch::Tensor mlp_forward(const BlockWeights& w, const ModelConfig& c, std::int64_t layer, const torch::Tensor& x,
                          const ForwardOptions& options) {
  const torch::Tensor dropped = drop(x, options);
  const torch::Tensor gate = project(x, w.gate, {}, options, layer, Target::kGate, dropped);
  const torch::Tensor up = project(x, w.up, {}, options, layer, Target::kUp, dropped);
  torch::Tensor neurons = gated(gate, up, c.gelu);
  if (options.tap) neurons = options.tap(layer, UnitKind::kNeuron, neurons);
  return project(neurons, w.down, {}, options, layer, Target::kDown, drop(neurons, options));
}

}  // namespace

torch::Tensor block_forward(const BlockWeights& block, const ModelConfig& config, const RotaryTables& rotary,
                            std::int64_t layer, const torch::Tensor& x, const ForwardOptions& options) {
  const double eps = config.rms_norm_eps;
  torch::Tensor y = x;
  if (block.k.size(0) > 0) {
    const torch::Tensor mixed =
        attention_forward(block, config, rotary, layer, rms_norm(y, block.attn_norm, eps), options);
    y = y + added(mixed, block.attn_post_norm, eps);
  }
  if (block.gate.size(0) > 0) {
    const torch::Tensor mixed = mlp_forward(block, config, layer, rms_norm(y, block.ffn_norm, eps), options);
    y = y + added(mixed, block.ffn_post_norm, eps);
  }
  return y;
}

Decoder::Decoder(ModelWeights weights)
    : weights_(std::move(weights)),
      rotary_(make_rotary_tables(weights_.config, weights_.config.max_positions, weights_.embedding.device(),
                                 weights_.embedding.scalar_type())) {}

torch::Tensor Decoder::embed(const torch::Tensor& tokens) const {
  return embed_tokens(weights_.embedding, tokens, weights_.config);
}

torch::Tensor Decoder::block(std::int64_t layer, const torch::Tensor& x, const ForwardOptions& options) const {
  return block_forward(weights_.blocks[static_cast<std::size_t>(layer)], weights_.config, rotary_, layer, x, options);
}

torch::Tensor Decoder::finish(const torch::Tensor& x) const {
  return rms_norm(x, weights_.final_norm, weights_.config.rms_norm_eps);
}

torch::Tensor Decoder::head(const torch::Tensor& normed, ProductType products) const {
  return linear_product(normed, weights_.head, products);
}

torch::Tensor Decoder::hidden(const torch::Tensor& tokens, const ForwardOptions& options) const {
  require(tokens.size(1) + (options.cache != nullptr ? options.cache->tokens : 0) <= config().max_positions,
          "{} tokens exceed the model's context of {}", tokens.size(1), config().max_positions);
  if (options.cache != nullptr && options.cache->keys.empty()) {
    options.cache->keys.resize(weights_.blocks.size());
    options.cache->values.resize(weights_.blocks.size());
  }
  torch::Tensor x = embed(tokens);
  for (std::int64_t layer = 0; layer < num_layers(); ++layer) x = block(layer, x, options);
  if (options.cache != nullptr) options.cache->tokens += tokens.size(1);
  return finish(x);
}

torch::Tensor Decoder::logits(const torch::Tensor& tokens, const ForwardOptions& options) const {
  return head(hidden(tokens, options));
}

torch::Tensor token_losses(const torch::Tensor& logits, const torch::Tensor& targets) {
  const auto wide = logits.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const torch::Tensor flat = logits.reshape({-1, logits.size(-1)}).to(wide);
  return torch::cross_entropy_loss(flat, targets.reshape({-1}), {}, at::Reduction::None, kIgnore).view(targets.sizes());
}

torch::Tensor summed_loss(const torch::Tensor& logits, const torch::Tensor& targets) {
  return token_losses(logits, targets).sum();
}

}  // namespace elastify
