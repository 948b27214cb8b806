// The forward pass of MobileBERT (Sun et al. 2020) and BERT (Devlin et al. 2018), layer by layer, over plain tensors.
// BERT is written as a MobileBERT without what it lacks, see TlmBodyKind. Everything is differentiable, works in the
// weights' dtype on their device, and changes nothing.
#pragma once

#include "tlm/tlm_weights.h"

namespace elastify {

// Rows of tokens, padded on the right.
struct TlmBatch {
  torch::Tensor tokens;  // [batch, seq] int64; any valid id where padded
  torch::Tensor mask;    // [batch, seq] bool, false where padded; the first token of a row is never padding
  torch::Tensor
      words;  // [batch, seq] int64: the word a token belongs to, -1 for special tokens and padding; may be undefined
  torch::Tensor types = {};  // [batch, seq] int64: segments; undefined for all 0
};

struct TlmForward {
  bool training = false;  // applies dropout, from torch's global generator
};

// 0 where a key may be seen, else -inf: [batch, 1, 1, seq] in `dtype`.
torch::Tensor tlm_attention_bias(const torch::Tensor& mask, torch::ScalarType dtype);

// The embedding layer: x = Norm(T [e(i+1); e(i); e(i-1)] + position(i) + type), with e zero beyond both ends of the
// row; BERT's has e(i) in the place of T [...]. word_vectors: [batch, seq, embedding]; mask as in TlmBatch; types:
// [batch, seq] int64, or undefined for all 0.
// -> [batch, seq, hidden]. Padding counts as beyond the end, so that a row's states do not depend on what it is padded
// with; the published implementation lets the last token see the embedding of [PAD]. Throws Error(kInternal) where seq
// exceeds max_positions.
torch::Tensor tlm_embed(const TlmEmbeddings& embeddings, const TlmConfig& config, const torch::Tensor& word_vectors,
                        const torch::Tensor& mask, const torch::Tensor& types = {}, const TlmForward& options = {});

// One layer: x, [batch, seq, hidden] -> the same shape. `bias` is tlm_attention_bias().
torch::Tensor tlm_layer(const TlmLayer& layer, const TlmConfig& config, const torch::Tensor& x,
                        const torch::Tensor& bias, const TlmForward& options = {});

torch::Tensor tlm_layers(const std::vector<TlmLayer>& layers, const TlmConfig& config, torch::Tensor x,
                         const torch::Tensor& mask, const TlmForward& options = {});

// After the last layer: [batch, seq, hidden].
torch::Tensor tlm_hidden(const TlmBody& body, const TlmBatch& batch, const TlmForward& options = {});

// Of neurons: MobileBERT's ReLU, BERT's GELU (of the error function).
torch::Tensor tlm_activate(const TlmConfig& config, const torch::Tensor& x);

torch::Tensor tlm_affine(const TlmAffine& affine, const torch::Tensor& x);

}  // namespace elastify
