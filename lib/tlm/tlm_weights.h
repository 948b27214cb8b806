// An encoder's weights as tensors, and the one list of their names and shapes that loading, saving,
// initialising and training go through.
#pragma once

#include <vector>

#include "base/torch.h"
#include "tlm/tlm_config.h"

namespace elastify {

struct TlmAffine {
  torch::Tensor weight, bias;  // [outputs, inputs], [outputs]
};
struct TlmNormWeights {
  torch::Tensor weight, bias;  // [features] each
};
struct TlmDense {
  TlmAffine dense;
  TlmNormWeights norm;  // of the outputs, after the residual where there is one
};

struct TlmEmbeddings {
  torch::Tensor word;        // [vocab, embedding]
  torch::Tensor position;    // [max_positions, hidden]
  torch::Tensor type;        // [types, hidden]
  TlmAffine transformation;  // MobileBERT's: [hidden, 3 * embedding], or [hidden, embedding] without trigrams (unused
                             // where equal widths)
  TlmNormWeights norm;       // [hidden]
};

struct TlmFeedForward {
  TlmAffine up;   // [intermediate, inner]
  TlmDense down;  // [inner, intermediate]
};

struct TlmLayer {
  TlmDense input_bottleneck;                 // [inner, hidden]; where use_bottleneck
  TlmDense attention_bottleneck;             // [inner, hidden]; where use_bottleneck and shared_key_query
  TlmAffine query, key, value;               // [inner, inner] twice, [inner, value_inputs]
  TlmDense attention_output;                 // [inner, inner]
  std::vector<TlmFeedForward> feed_forward;  // num_feed_forward; the last is Hugging Face's `intermediate` and `output`
  TlmDense output_bottleneck;                // [hidden, inner]; where use_bottleneck
};

struct TlmBody {
  TlmConfig config;
  TlmEmbeddings embeddings;
  std::vector<TlmLayer> layers;
};

// One tensor of a model: where it lies, what it is called in a file, and the shape it must have.
struct TlmSlot {
  std::string name;
  torch::Tensor* tensor = nullptr;
  std::vector<std::int64_t> shape;
};

// Names begin with `prefix` and go on as in transformers: "word_embeddings.weight", "attention.self.query.bias", ...
// The slots point into the argument, which must stay where it is. layer_slots() gives `layer` its feed-forward
// networks.
std::vector<TlmSlot> embedding_slots(TlmEmbeddings& embeddings, const TlmConfig& config, const std::string& prefix);
std::vector<TlmSlot> layer_slots(TlmLayer& layer, const TlmConfig& config, const std::string& prefix);
// "<prefix>embeddings." and "<prefix>encoder.layer.N." of the whole body, to which it gives its layers.
std::vector<TlmSlot> body_slots(TlmBody& body, const std::string& prefix);
void append_affine_slots(std::vector<TlmSlot>& slots, TlmAffine& affine, const std::string& name, std::int64_t outputs,
                         std::int64_t inputs);

// Fills every slot: norm weights 1, biases 0, embeddings N(0, 0.02^2) as in BERT, other matrices N(0, 1 / (3 inputs)).
// A tensor's values depend on `seed` and its name alone. float32 on the CPU.
void initialise_slots(const std::vector<TlmSlot>& slots, std::uint64_t seed);

// Throws Error(kBadData) where `config` is impossible.
TlmBody random_tlm_body(const TlmConfig& config, std::uint64_t seed);

// A copy that shares no memory, in `dtype` on `device`, without gradients.
TlmLayer copy_layer(const TlmLayer& layer, const TlmConfig& config, torch::Device device, torch::ScalarType dtype);
TlmBody copy_body(const TlmBody& body, torch::Device device, torch::ScalarType dtype);

}  // namespace elastify
