#include "tlm_forward.hpp"

#include <algorithm>
#include <cmath>

#include "elrt/format.h"

namespace elrt {
namespace {

// y = W x + bias for tokens begin..begin+count, or added to y.
void affine(const TlmDense& dense, Activations& x, Activations& y, std::size_t begin, std::size_t count, bool accumulate = false) {
  kernels::Matmul job{&dense.weights, dense.weights.outputs, dense.weights.inputs, x.row(begin), x.stride, y.row(begin), y.stride};
  job.tokens = static_cast<std::uint32_t>(count);
  job.accumulate = accumulate;
  job.bias = dense.bias;
  kernels::matmul(job, 0, job.outputs);
}

}  // namespace

void TlmForward::reserve(std::size_t tokens) {
  if (tokens <= reserved_) return;
  const TlmShape& s = model_.shape;
  words_.allocate(tokens, s.word_inputs());
  for (Activations* a : {&inner_, &query_in_, &q_, &k_, &v_, &attended_, &y_}) a->allocate(tokens, s.inner);
  neurons_.allocate(tokens, s.ffn);
  keys_.resize(tokens * s.inner);
  values_.resize(tokens * s.inner);
  for (auto& scores : scores_) scores.resize(kernels::padded(tokens));
  reserved_ = tokens;
}

// A few blocks for each thread, so that they balance; multiples of six, as many tokens as a kernel takes at once.
std::size_t TlmForward::block_tokens(std::size_t tokens) const {
  constexpr std::size_t kStep = 6, kMost = 48;
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

void TlmForward::normalise(const TlmNorm& norm, float epsilon, Activations& x, std::size_t begin, std::size_t count, std::size_t width) const {
  for (std::size_t t = begin; t < begin + count; ++t) {
    if (model_.shape.layer_norm) kernels::layer_norm(x.row(t), norm.weight, norm.bias, epsilon, width);
    else kernels::scale_shift(x.row(t), norm.weight, norm.bias, width);
  }
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
  for_blocks(tokens, [&](std::size_t begin, std::size_t count, std::size_t) {
    std::vector<float> position(s.hidden), segment(s.hidden);
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
      kernels::load_row(model_.positions, t, position.data());
      kernels::load_row(model_.segments, row.segments[t], segment.data());
      for (std::size_t i = 0; i < s.hidden; ++i) x.row(t)[i] += position[i] + segment[i];
    }
    normalise(model_.embedding.norm, format::kTlmInnerNormEpsilon, x, begin, count, s.hidden);
  });
}

void TlmForward::run(const std::vector<TlmLayer>& layers, Activations& x, std::size_t tokens, bool first_only) {
  reserve(tokens);
  for (const TlmLayer& layer : layers) run_layer(layer, x, tokens, first_only && &layer == &layers.back() ? 1 : tokens);
}

void TlmForward::run_layer(const TlmLayer& layer, Activations& x, std::size_t tokens, std::size_t outputs) {
  for_blocks(tokens, [&](std::size_t begin, std::size_t count, std::size_t) { project(layer, x, begin, count, outputs, tokens); });
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

// Queries, keys and values of a block. Keys and values move to where attention reads them: one head after the other.
void TlmForward::project(const TlmLayer& layer, Activations& x, std::size_t begin, std::size_t count, std::size_t outputs, std::size_t tokens) {
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
  const std::size_t dim = s.inner / s.heads;
  for (std::size_t t = begin; t < begin + count; ++t) {
    for (std::size_t head = 0; head < s.heads; ++head) {
      std::copy_n(k_.row(t) + head * dim, dim, keys_.data() + (head * tokens + t) * dim);
      std::copy_n(v_.row(t) + head * dim, dim, values_.data() + (head * tokens + t) * dim);
    }
  }
}

void TlmForward::attend(std::size_t begin, std::size_t count, std::size_t tokens, std::size_t thread) {
  const std::size_t heads = model_.shape.heads, dim = model_.shape.inner / heads;
  kernels::Attention job;
  job.row_bytes = kv_row_bytes(job.type, dim);
  job.end = tokens;
  job.head_dim = dim;
  job.scale = 1.0f / std::sqrt(static_cast<float>(dim));
  job.scores = scores_[thread].data();
  for (std::size_t head = 0; head < heads; ++head) {
    job.keys = reinterpret_cast<const std::byte*>(keys_.data() + head * tokens * dim);
    job.values = reinterpret_cast<const std::byte*>(values_.data() + head * tokens * dim);
    for (std::size_t t = begin; t < begin + count; ++t) {
      job.query = q_.row(t) + head * dim;
      job.out = attended_.row(t) + head * dim;
      kernels::attend(job);
    }
  }
}

// Everything behind attention: residuals are what the products are added to.
void TlmForward::finish(const TlmLayer& layer, Activations& x, std::size_t begin, std::size_t count) {
  const TlmShape& s = model_.shape;
  Activations& inner = *sources(x).inner;
  for (std::size_t t = begin; t < begin + count; ++t) std::copy_n(inner.row(t), s.inner, y_.row(t));
  affine(layer.attn_output, attended_, y_, begin, count, true);
  normalise(layer.attn_output.norm, s.norm_epsilon, y_, begin, count, s.inner);
  for (std::size_t i = 0; i < layer.feed_forwards.size(); ++i) {
    const TlmFeedForward& network = layer.feed_forwards[i];
    affine(network.up, y_, neurons_, begin, count);
    for (std::size_t t = begin; t < begin + count; ++t) kernels::relu(neurons_.row(t), s.ffn);
    affine(network.down, neurons_, y_, begin, count, true);
    const bool last = i + 1 == layer.feed_forwards.size();
    normalise(network.down.norm, last ? format::kTlmInnerNormEpsilon : s.norm_epsilon, y_, begin, count, s.inner);
  }
  if (!s.bottleneck) {
    for (std::size_t t = begin; t < begin + count; ++t) std::copy_n(y_.row(t), s.inner, x.row(t));
    return;
  }
  affine(layer.out, y_, x, begin, count, true);
  normalise(layer.out.norm, s.norm_epsilon, x, begin, count, s.hidden);
}

void TlmForward::classify(const TlmDense& classifier, Activations& x, std::size_t tokens, float* out) {
  const std::uint32_t classes = classifier.weights.outputs;
  for_blocks(tokens, [&](std::size_t begin, std::size_t count, std::size_t) {
    kernels::Matmul job{&classifier.weights, classes, classifier.weights.inputs, x.row(begin), x.stride, out + begin * classes, classes};
    job.tokens = static_cast<std::uint32_t>(count);
    job.bias = classifier.bias;
    kernels::matmul(job, 0, classes);
  });
}

}  // namespace elrt
