#include "tlm/tlm_forward.hpp"

#include <algorithm>
#include <cmath>

#include "elrt/format.h"

namespace elrt {
namespace {

// y = W x + bias for tokens begin..begin+count, or added to y.
void affine(const TlmDense& dense, Activations& x, Activations& y, std::size_t begin, std::size_t count,
            bool accumulate = false) {
  const Columns& w = dense.weights;
  kernels::multiply_columns({w.data, w.type, w.outputs, w.inputs, x.row(begin), x.stride, y.row(begin), y.stride,
                             static_cast<std::uint32_t>(count), accumulate, dense.bias});
}

// Queries whose scores are computed together: their rows stay in the first-level cache.
constexpr std::size_t kQueries = 12;

constexpr std::size_t kSide = format::kColumnOutputs;

// Of a head's values, side by side: no more than it has, so that they stay in the first-level cache too.
std::size_t value_columns(std::size_t dim) { return std::min(kSide, (dim + 7) / 8 * 8); }
std::size_t value_room(std::size_t dim) { return (dim + kSide - 1) / kSide * value_columns(dim); }

bool is_bert(const TlmModel& model) { return model.shape.body == TlmBodyKind::kBert; }

}  // namespace

TlmForward::TlmForward(const TlmModel& model, ThreadPool& pool)
    : model_(model),
      pool_(pool),
      inner_epsilon_(is_bert(model) ? model.shape.norm_epsilon : format::kTlmInnerNormEpsilon),
      activate_(is_bert(model) ? kernels::gelu : kernels::relu),
      scores_(pool.threads()),
      position_(pool.threads(), std::vector<float>(model.shape.hidden)),
      segments_(std::size_t{kTlmSegments} * model.shape.hidden) {
  for (std::size_t i = 0; i < kTlmSegments; ++i)
    kernels::load_row(model.segments, i, segments_.data() + i * model.shape.hidden);
}

void TlmForward::reserve(std::size_t tokens) {
  if (tokens <= reserved_) return;
  const TlmShape& s = model_.shape;
  words_.allocate(tokens, s.word_inputs());
  for (Activations* a : {&inner_, &query_in_, &q_, &k_, &v_, &attended_, &y_}) a->allocate(tokens, s.inner);
  neurons_.allocate(tokens, s.ffn);
  keys_.resize(kernels::padded(tokens) * s.inner);
  values_.resize(tokens * s.heads * value_room(s.inner / s.heads));
  for (auto& scores : scores_) scores.resize(kQueries * kernels::padded(tokens));
  reserved_ = tokens;
}

// A few blocks for each thread, so that they balance; multiples of as many tokens as a kernel takes at once.
std::size_t TlmForward::block_tokens(std::size_t tokens) const {
  constexpr std::size_t kStep = 12, kMost = 48;
  const std::size_t share = tokens / (2 * pool_.threads()) / kStep * kStep;
  return std::clamp(share, kStep, kMost);
}

template <typename Body>
void TlmForward::for_blocks(std::size_t tokens, const Body& body) {
  const std::size_t block = block_tokens(tokens);
  pool_.for_each((tokens + block - 1) / block, [&](std::size_t item, std::size_t thread) {
    body(item * block, std::min(block, tokens - item * block), thread);
  });
}

void TlmForward::normalise(const TlmNorm& norm, float epsilon, Activations& x, std::size_t begin, std::size_t count,
                           std::size_t width) const {
  if (model_.shape.layer_norm)
    return kernels::layer_norm(x.row(begin), x.stride, count, norm.weight, norm.bias, epsilon, width);
  for (std::size_t t = begin; t < begin + count; ++t) kernels::scale_shift(x.row(t), norm.weight, norm.bias, width);
}

void TlmForward::embed(const TlmRow& row, Activations& x) {
  const TlmShape& s = model_.shape;
  const std::size_t tokens = row.ids.size(), width = s.embedding;
  reserve(tokens);
  x.allocate(tokens, s.hidden);
  const auto load = [&](std::size_t token, float* out) {
    const auto id = static_cast<std::uint32_t>(row.ids[token]);
    kernels::load_row(id < s.vocab ? model_.tokens : model_.slos, id < s.vocab ? id : id - s.vocab, out);
  };
  for_blocks(tokens, [&](std::size_t begin, std::size_t count, std::size_t thread) {
    float* position = position_[thread].data();
    for (std::size_t t = begin; t < begin + count; ++t) {
      float* words = s.transforms_words() ? words_.row(t) : x.row(t);
      load(t, words + (s.trigram_input ? width : 0));
      if (!s.trigram_input) continue;
      std::fill_n(words, width, 0.0f);
      std::fill_n(words + 2 * width, width, 0.0f);
      if (t + 1 < tokens) load(t + 1, words);
      if (t > 0) load(t - 1, words + 2 * width);
    }
    if (s.transforms_words()) affine(model_.embedding, words_, x, begin, count);
    for (std::size_t t = begin; t < begin + count; ++t) {
      kernels::load_row(model_.positions, t, position);
      const float* segment = segments_.data() + row.segments[t] * s.hidden;
      for (std::size_t i = 0; i < s.hidden; ++i) x.row(t)[i] += position[i] + segment[i];
    }
    normalise(model_.embedding.norm, inner_epsilon_, x, begin, count, s.hidden);
  });
}

void TlmForward::run(const std::vector<TlmLayer>& layers, Activations& x, std::size_t tokens, bool first_only) {
  reserve(tokens);
  for (const TlmLayer& layer : layers) run_layer(layer, x, tokens, first_only && &layer == &layers.back() ? 1 : tokens);
}

void TlmForward::run_layer(const TlmLayer& layer, Activations& x, std::size_t tokens, std::size_t outputs) {
  for_blocks(tokens, [&](std::size_t begin, std::size_t count, std::size_t) {
    project(layer, x, begin, count, outputs, tokens);
  });
  for_blocks(outputs, [&](std::size_t begin, std::size_t count, std::size_t thread) {
    attend(begin, count, tokens, thread);
    finish(layer, x, begin, count);
  });
}

TlmForward::Sources TlmForward::sources(Activations& x) {
  const TlmShape& s = model_.shape;
  if (!s.bottleneck) return {&x, &x, &x};
  if (s.bottleneck_attention) return {&inner_, &inner_, &inner_};
  return {&inner_, s.shared_key_query ? &query_in_ : &x, &x};
}

// Queries, keys and values of a block. Keys and values move to where attention reads them.
void TlmForward::project(const TlmLayer& layer, Activations& x, std::size_t begin, std::size_t count,
                         std::size_t outputs, std::size_t tokens) {
  const TlmShape& s = model_.shape;
  const Sources from = sources(x);
  if (s.bottleneck) {
    affine(layer.in, x, inner_, begin, count);
    normalise(layer.in.norm, s.norm_epsilon, inner_, begin, count, s.inner);
  }
  if (from.query == &query_in_) {
    affine(layer.attn_in, x, query_in_, begin, count);
    normalise(layer.attn_in.norm, s.norm_epsilon, query_in_, begin, count, s.inner);
  }
  if (begin < outputs) affine(layer.q, *from.query, q_, begin, std::min(count, outputs - begin));
  affine(layer.k, *from.query, k_, begin, count);
  affine(layer.v, *from.value, v_, begin, count);
  for (std::size_t t = begin; t < begin + count; ++t) store_key_and_value(t, tokens);
}

void TlmForward::store_key_and_value(std::size_t token, std::size_t tokens) {
  const std::size_t heads = model_.shape.heads, dim = model_.shape.inner / heads;
  for (std::size_t head = 0; head < heads; ++head) {
    float* key = keys_.data() + (head * kernels::padded(tokens) + token / kSide * kSide) * dim + token % kSide;
    for (std::size_t i = 0; i < dim; ++i) key[i * kSide] = k_.row(token)[head * dim + i];
    float* value = values_.data() + head * tokens * value_room(dim) + token * value_columns(dim);
    for (std::size_t i = 0; i < dim; i += kSide)
      std::copy_n(v_.row(token) + head * dim + i, std::min(kSide, dim - i), value + i * tokens);
  }
}

// Per head, scores = Q K^T, their softmax, and the mean of the values: products in columns both. Dividing by the
// weights' sum is left to the mean.
void TlmForward::attend(std::size_t begin, std::size_t count, std::size_t tokens, std::size_t thread) {
  const std::size_t heads = model_.shape.heads, dim = model_.shape.inner / heads, stride = kernels::padded(tokens);
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  float* scores = scores_[thread].data();
  kernels::ColumnProduct score, mix;
  score.outputs = static_cast<std::uint32_t>(stride);
  score.inputs = mix.outputs = static_cast<std::uint32_t>(dim);
  mix.inputs = static_cast<std::uint32_t>(tokens);
  score.x_stride = q_.stride;
  score.y = scores;
  mix.x = scores;
  score.y_stride = mix.x_stride = stride;
  mix.y_stride = attended_.stride;
  mix.columns = static_cast<std::uint32_t>(value_columns(dim));
  for (std::size_t head = 0; head < heads; ++head) {
    score.weights = reinterpret_cast<const std::byte*>(keys_.data() + head * stride * dim);
    mix.weights = reinterpret_cast<const std::byte*>(values_.data() + head * tokens * value_room(dim));
    for (std::size_t first = begin; first < begin + count; first += kQueries) {
      score.tokens = mix.tokens = static_cast<std::uint32_t>(std::min(kQueries, begin + count - first));
      score.x = q_.row(first) + head * dim;
      mix.y = attended_.row(first) + head * dim;
      kernels::multiply_columns(score);
      float norms[kQueries];
      for (std::size_t t = 0; t < score.tokens; ++t)
        norms[t] = kernels::softmax_weights(scores + t * stride, scale, tokens);
      kernels::multiply_columns(mix);
      for (std::size_t t = 0; t < score.tokens; ++t) {
        for (std::size_t i = 0; i < dim; ++i) mix.y[t * mix.y_stride + i] *= norms[t];
      }
    }
  }
}

// Everything after attention: residuals are what the products are added to.
void TlmForward::finish(const TlmLayer& layer, Activations& x, std::size_t begin, std::size_t count) {
  const TlmShape& s = model_.shape;
  Activations& inner = *sources(x).inner;
  for (std::size_t t = begin; t < begin + count; ++t) std::copy_n(inner.row(t), s.inner, y_.row(t));
  affine(layer.attn_output, attended_, y_, begin, count, true);
  normalise(layer.attn_output.norm, s.norm_epsilon, y_, begin, count, s.inner);
  for (std::size_t i = 0; i < layer.feed_forwards.size(); ++i) {
    const TlmFeedForward& network = layer.feed_forwards[i];
    affine(network.up, y_, neurons_, begin, count);
    for (std::size_t t = begin; t < begin + count; ++t) activate_(neurons_.row(t), s.ffn);
    affine(network.down, neurons_, y_, begin, count, true);
    const bool last = i + 1 == layer.feed_forwards.size();
    normalise(network.down.norm, last ? inner_epsilon_ : s.norm_epsilon, y_, begin, count, s.inner);
  }
  if (!s.bottleneck) {
    for (std::size_t t = begin; t < begin + count; ++t) std::copy_n(y_.row(t), s.inner, x.row(t));
    return;
  }
  affine(layer.out, y_, x, begin, count, true);
  normalise(layer.out.norm, s.norm_epsilon, x, begin, count, s.hidden);
}

void TlmForward::classify(const TlmDense& classifier, Activations& x, std::size_t tokens, float* out) {
  const Columns& w = classifier.weights;
  for_blocks(tokens, [&](std::size_t begin, std::size_t count, std::size_t) {
    kernels::multiply_columns({w.data, w.type, w.outputs, w.inputs, x.row(begin), x.stride, out + begin * w.outputs,
                               w.outputs, static_cast<std::uint32_t>(count), false, classifier.bias});
  });
}

}  // namespace elrt
