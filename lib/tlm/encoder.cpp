#include "tlm/encoder.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace elastify {
namespace {

torch::Tensor normalise(const TlmNormWeights& norm, const TlmConfig& config, const torch::Tensor& x, double eps) {
  if (config.norm == TlmNorm::kNone) return torch::addcmul(norm.bias, x, norm.weight);
  return torch::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, eps);
}

torch::Tensor drop(const torch::Tensor& x, double share, const TlmForward& options) {
  return options.training && share > 0 ? torch::dropout(x, share, true) : x;
}

// [batch, seq, inner] -> [batch, heads, seq, head_dim]
torch::Tensor split_heads(const torch::Tensor& x, std::int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, -1}).transpose(1, 2);
}

// softmax(q k^T / sqrt(d) + bias) v: [batch, seq, inner]
torch::Tensor attend(const TlmLayer& layer, const TlmConfig& c, const torch::Tensor& query_in,
                     const torch::Tensor& value_in, const torch::Tensor& bias, const TlmForward& options) {
  const torch::Tensor q = split_heads(tlm_affine(layer.query, query_in), c.num_heads);
  const torch::Tensor k = split_heads(tlm_affine(layer.key, query_in), c.num_heads);
  const torch::Tensor v = split_heads(tlm_affine(layer.value, value_in), c.num_heads);
  const double scale = 1 / std::sqrt(static_cast<double>(c.head_dim()));
  const torch::Tensor weights = torch::softmax(torch::matmul(q * scale, k.transpose(-1, -2)) + bias, -1);
  return torch::matmul(drop(weights, c.attention_dropout, options), v).transpose(1, 2).flatten(2);
}

torch::Tensor feed_forward(const TlmFeedForward& network, const TlmConfig& c, const torch::Tensor& x, double eps,
                           double dropout, const TlmForward& options) {
  const torch::Tensor out = tlm_affine(network.down.dense, tlm_activate(c, tlm_affine(network.up, x)));
  return normalise(network.down.norm, c, drop(out, dropout, options) + x, eps);
}

}  // namespace

torch::Tensor tlm_affine(const TlmAffine& affine, const torch::Tensor& x) {
  return torch::linear(x, affine.weight, affine.bias);
}

torch::Tensor tlm_activate(const TlmConfig& config, const torch::Tensor& x) {
  return config.kind == TlmBodyKind::kBert ? torch::gelu(x) : torch::relu(x);
}

torch::Tensor tlm_attention_bias(const torch::Tensor& mask, torch::ScalarType dtype) {
  const torch::Tensor bias = torch::zeros(mask.sizes(), torch::TensorOptions().device(mask.device()).dtype(dtype));
  return bias.masked_fill_(mask.logical_not(), -std::numeric_limits<double>::infinity()).unsqueeze(1).unsqueeze(1);
}

torch::Tensor tlm_embed(const TlmEmbeddings& e, const TlmConfig& c, const torch::Tensor& word_vectors,
                        const torch::Tensor& mask, const torch::Tensor& types, const TlmForward& options) {
  const std::int64_t seq = word_vectors.size(1);
  require(seq <= c.max_positions, "{} tokens exceed the encoder's {} positions", seq, c.max_positions);
  torch::Tensor x = word_vectors * mask.unsqueeze(-1).to(word_vectors.scalar_type());
  if (c.trigram_input) {
    const torch::Tensor nothing = torch::zeros_like(x.narrow(1, 0, 1));
    const torch::Tensor right = torch::cat({x.narrow(1, 1, seq - 1), nothing}, 1);
    const torch::Tensor left = torch::cat({nothing, x.narrow(1, 0, seq - 1)}, 1);
    x = torch::cat({right, x, left}, -1);
  }
  if (c.transforms_words()) x = tlm_affine(e.transformation, x);
  x = x + e.position.narrow(0, 0, seq) + (types.defined() ? torch::embedding(e.type, types) : e.type[0]);
  return drop(normalise(e.norm, c, x, c.inner_norm_eps()), c.hidden_dropout, options);
}

torch::Tensor tlm_layer(const TlmLayer& layer, const TlmConfig& c, const torch::Tensor& x, const torch::Tensor& bias,
                        const TlmForward& options) {
  const auto narrowed = [&](const TlmDense& bottleneck) {
    return normalise(bottleneck.norm, c, tlm_affine(bottleneck.dense, x), c.layer_norm_eps);
  };
  const torch::Tensor inner = c.use_bottleneck ? narrowed(layer.input_bottleneck) : x;
  torch::Tensor query_in = x, value_in = x;
  if (c.use_bottleneck && c.bottleneck_attention)
    query_in = value_in = inner;
  else if (c.use_bottleneck && c.shared_key_query)
    query_in = narrowed(layer.attention_bottleneck);

  // Inside a bottleneck the published model drops nothing.
  const double inner_dropout = c.use_bottleneck ? 0 : c.hidden_dropout;
  const torch::Tensor attended =
      tlm_affine(layer.attention_output.dense, attend(layer, c, query_in, value_in, bias, options));
  torch::Tensor y =
      normalise(layer.attention_output.norm, c, drop(attended, inner_dropout, options) + inner, c.layer_norm_eps);
  for (std::size_t i = 0; i + 1 < layer.feed_forward.size(); ++i)
    y = feed_forward(layer.feed_forward[i], c, y, c.layer_norm_eps, 0, options);
  y = feed_forward(layer.feed_forward.back(), c, y, c.inner_norm_eps(), inner_dropout, options);
  if (!c.use_bottleneck) return y;
  const torch::Tensor widened = drop(tlm_affine(layer.output_bottleneck.dense, y), c.hidden_dropout, options);
  return normalise(layer.output_bottleneck.norm, c, widened + x, c.layer_norm_eps);
}

torch::Tensor tlm_layers(const std::vector<TlmLayer>& layers, const TlmConfig& config, torch::Tensor x,
                         const torch::Tensor& mask, const TlmForward& options) {
  const torch::Tensor bias = tlm_attention_bias(mask, x.scalar_type());
  for (const auto& layer : layers) x = tlm_layer(layer, config, x, bias, options);
  return x;
}

torch::Tensor tlm_hidden(const TlmBody& body, const TlmBatch& batch, const TlmForward& options) {
  const torch::Tensor words = torch::embedding(body.embeddings.word, batch.tokens);
  return tlm_layers(body.layers, body.config,
                    tlm_embed(body.embeddings, body.config, words, batch.mask, batch.types, options), batch.mask,
                    options);
}

}  // namespace elastify
