// The tiny language model's weights: pointers into the mapping. What they compute is in tlm_forward.hpp.
#pragma once

#include <vector>

#include "elrt/tlm_shape.hpp"
#include "kernels/matrix.hpp"

namespace elrt {

struct TlmNorm {
  const float *weight = nullptr, *bias = nullptr;
};

// y = W x + bias, and where there is a norm, of the outputs.
struct TlmDense {
  Columns weights;
  const float* bias = nullptr;
  TlmNorm norm;
};

struct TlmFeedForward {
  TlmDense up, down;
};

struct TlmLayer {
  TlmDense in, attn_in, q, k, v, attn_output, out;  // in, attn_in and out only where the shape has them
  std::vector<TlmFeedForward> feed_forwards;
};

// What the encoder reads: a token's id, those after the vocabulary are SLO tokens, and its segment.
struct TlmRow {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> segments;
  bool operator==(const TlmRow&) const = default;
};

struct TlmModel {
  TlmShape shape;
  Matrix tokens, slos, positions, segments;  // a row each
  TlmDense embedding;                        // no weights: words are as wide as the states already
  std::vector<TlmLayer> bottom, score_layers, decision_layers;
  TlmDense score, model_level, prompt_level;
};

}  // namespace elrt
