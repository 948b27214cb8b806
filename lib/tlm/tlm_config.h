// Dimensions of an encoder, the body of the tiny language model: MobileBERT (Sun et al. 2020, "MobileBERT: a Compact
// Task-Agnostic BERT for Resource-Limited Devices") or BERT (Devlin et al. 2018) as small models have it: MiniLM,
// TinyBERT, BGE small, ...
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace elastify {

enum class TlmNorm {
  kNone,   // "no_norm": an element-wise scale and shift, as in the published checkpoint
  kLayer,  // "layer_norm"
};

enum class TlmBodyKind {
  kMobileBert,
  kBert,  // a MobileBERT without bottleneck, trigrams and transformation, with one feed-forward network and LayerNorm
          // a layer, whose neurons go through GELU and whose norms all have layer_norm_eps
};

// The defaults are those of the published mobilebert-uncased.
struct TlmConfig {
  TlmBodyKind kind = TlmBodyKind::kMobileBert;
  std::int64_t vocab_size = 30522;
  std::int64_t embedding_size = 128;     // width of a word's embedding
  std::int64_t hidden_size = 512;        // width between layers
  std::int64_t bottleneck_size = 128;    // width inside a layer, where use_bottleneck
  std::int64_t intermediate_size = 512;  // neurons of one feed-forward network
  std::int64_t num_layers = 24;
  std::int64_t num_heads = 4;
  std::int64_t num_feed_forward = 4;  // networks stacked in a layer
  std::int64_t max_positions = 512;
  std::int64_t num_types =
      2;  // segments of the input: 1 for the question and what it names, see elrt::WordPiece::mark_question()
  std::int64_t pad_token_id = 0;
  bool use_bottleneck = true;
  bool shared_key_query = true;       // queries and keys read one bottleneck of their own; values read the full width
  bool bottleneck_attention = false;  // queries, keys and values read the layer's input bottleneck
  bool trigram_input = true;  // a word's input is its right neighbour, itself and its left neighbour, side by side
  TlmNorm norm = TlmNorm::kNone;
  double layer_norm_eps = 1e-12;
  double hidden_dropout = 0;
  double attention_dropout = 0.1;

  // Width inside a layer: Hugging Face's true_hidden_size.
  std::int64_t inner_size() const { return use_bottleneck ? bottleneck_size : hidden_size; }
  std::int64_t value_inputs() const { return bottleneck_attention ? inner_size() : hidden_size; }
  std::int64_t head_dim() const { return inner_size() / num_heads; }
  bool transforms_words() const { return trigram_input || embedding_size != hidden_size; }
  // Of the norms of the embeddings and after a layer's last feed-forward network: the published MobileBERT has the
  // framework's default there, whatever layer_norm_eps is.
  double inner_norm_eps() const { return kind == TlmBodyKind::kBert ? layer_norm_eps : 1e-5; }
  // Hugging Face's model_type, with which the names of a checkpoint's tensors begin too.
  const char* type_name() const { return kind == TlmBodyKind::kBert ? "bert" : "mobilebert"; }
  std::string prefix() const { return type_name() + std::string("."); }

  // Throws Error(kBadData) naming `source` and the first dimension that is impossible.
  void validate(const std::string& source) const;
  bool operator==(const TlmConfig&) const = default;
};

// BERT with the dimensions of the published bert-base-uncased.
TlmConfig bert_base_config();

// Reads a config.json of model_type "mobilebert" or "bert"; keys that are missing have the published values, as in
// transformers. Throws Error(kBadData) on another model, activation, norm or kind of positions, and on a decoder: what
// is not understood is refused.
TlmConfig tlm_config_from_hf(const nlohmann::json& document, const std::string& source);

// The config.json of a checkpoint with these dimensions.
nlohmann::json tlm_config_to_hf(const TlmConfig& config);

}  // namespace elastify
