#include "tlm/tlm_config.h"

#include "base/log.h"
#include "checkpoint/hf_reader.h"

namespace elastify {
namespace {

void check_ranges(const TlmConfig& c, const std::string& source) {
  const auto in_range = [&](const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value < low || value > high) fail_data("{}: {} must be in [{}, {}], found {}", source, name, low, high, value);
  };
  const auto share = [&](const char* name, double value) {
    if (!(value >= 0 && value < 1)) fail_data("{}: {} must be in [0, 1), found {}", source, name, value);
  };
  in_range("vocab_size", c.vocab_size, 1, 1 << 24);
  in_range("hidden_size", c.hidden_size, 1, 1 << 16);
  in_range(c.kind == TlmBodyKind::kBert ? "hidden_size" : "embedding_size", c.embedding_size, 1, 1 << 14);
  in_range("intra_bottleneck_size", c.bottleneck_size, 1, 1 << 16);
  in_range("intermediate_size", c.intermediate_size, 1, 1 << 18);
  in_range("num_hidden_layers", c.num_layers, 1, 1 << 10);
  in_range("num_attention_heads", c.num_heads, 1, 1 << 10);
  in_range("num_feedforward_networks", c.num_feed_forward, 1, 1 << 8);
  in_range("max_position_embeddings", c.max_positions, 1, 1 << 20);
  in_range("type_vocab_size", c.num_types, 2, 1 << 8);
  in_range("pad_token_id", c.pad_token_id, 0, c.vocab_size - 1);
  share("hidden_dropout_prob", c.hidden_dropout);
  share("attention_probs_dropout_prob", c.attention_dropout);
  if (!(c.layer_norm_eps > 0 && c.layer_norm_eps < 1))
    fail_data("{}: layer_norm_eps must be in (0, 1), found {}", source, c.layer_norm_eps);
}

}  // namespace

void TlmConfig::validate(const std::string& source) const {
  check_ranges(*this, source);
  if (kind == TlmBodyKind::kBert) {
    require(
        !use_bottleneck && !shared_key_query && !bottleneck_attention && !transforms_words() && num_feed_forward == 1 &&
            norm == TlmNorm::kLayer,
        "{}: a BERT body has neither bottlenecks nor transformed words, one feed-forward network a layer, and norms",
        source);
  }
  if (inner_size() % num_heads != 0) {
    fail_data("{}: the width inside a layer ({}) must be a multiple of num_attention_heads ({})", source, inner_size(),
              num_heads);
  }
  if (hidden_size < embedding_size) {
    fail_data("{}: hidden_size ({}) must be at least embedding_size ({})", source, hidden_size, embedding_size);
  }
  if (use_bottleneck && !shared_key_query && !bottleneck_attention && hidden_size != bottleneck_size) {
    fail_data(
        "{}: queries would be {} wide where {} are expected: set key_query_shared_bottleneck or "
        "use_bottleneck_attention",
        source, hidden_size, bottleneck_size);
  }
}

TlmConfig bert_base_config() {
  TlmConfig c;
  c.kind = TlmBodyKind::kBert;
  c.embedding_size = c.hidden_size = c.bottleneck_size = 768;
  c.intermediate_size = 3072;
  c.num_layers = c.num_heads = 12;
  c.num_feed_forward = 1;
  c.use_bottleneck = c.shared_key_query = c.bottleneck_attention = c.trigram_input = false;
  c.norm = TlmNorm::kLayer;
  c.hidden_dropout = 0.1;
  return c;
}

namespace {

// The value of a key that a model computes by must be `only`.
void expect_text(const HfReader& reader, const char* key, const std::string& only) {
  const std::string found = reader.text(key, only);
  if (found != only) fail_data("{}: {} must be {}, found '{}'", reader.source(), key, only, found);
}

// What both kinds have, under the same keys.
void read_common(const HfReader& reader, TlmConfig& c) {
  c.vocab_size = reader.integer("vocab_size", c.vocab_size);
  c.hidden_size = reader.integer("hidden_size", c.hidden_size);
  c.intermediate_size = reader.integer("intermediate_size", c.intermediate_size);
  c.num_layers = reader.integer("num_hidden_layers", c.num_layers);
  c.num_heads = reader.integer("num_attention_heads", c.num_heads);
  c.max_positions = reader.integer("max_position_embeddings", c.max_positions);
  c.num_types = reader.integer("type_vocab_size", c.num_types);
  c.pad_token_id = reader.integer("pad_token_id", c.pad_token_id);
  c.layer_norm_eps = reader.number("layer_norm_eps", c.layer_norm_eps);
  c.hidden_dropout = reader.number("hidden_dropout_prob", c.hidden_dropout);
  c.attention_dropout = reader.number("attention_probs_dropout_prob", c.attention_dropout);
}

TlmConfig read_mobilebert(const HfReader& reader) {
  const std::string& source = reader.source();
  expect_text(reader, "hidden_act", "relu");
  const std::string norm = reader.text("normalization_type", "no_norm");
  if (norm != "no_norm" && norm != "layer_norm") {
    fail_data("{}: normalization_type must be no_norm or layer_norm, found '{}'", source, norm);
  }
  TlmConfig c;
  c.norm = norm == "no_norm" ? TlmNorm::kNone : TlmNorm::kLayer;
  read_common(reader, c);
  c.embedding_size = reader.integer("embedding_size", c.embedding_size);
  c.bottleneck_size = reader.integer("intra_bottleneck_size", c.bottleneck_size);
  c.num_feed_forward = reader.integer("num_feedforward_networks", c.num_feed_forward);
  c.use_bottleneck = reader.flag("use_bottleneck", c.use_bottleneck);
  c.shared_key_query = reader.flag("key_query_shared_bottleneck", c.shared_key_query);
  c.bottleneck_attention = reader.flag("use_bottleneck_attention", c.bottleneck_attention);
  c.trigram_input = reader.flag("trigram_input", c.trigram_input);
  c.validate(source);
  const std::int64_t inner = reader.integer("true_hidden_size", c.inner_size());
  if (inner != c.inner_size()) {
    fail_data("{}: true_hidden_size must be {} by the other keys, found {}", source, c.inner_size(), inner);
  }
  return c;
}

TlmConfig read_bert(const HfReader& reader) {
  expect_text(reader, "hidden_act", "gelu");  // of the error function: gelu_new and others are approximations
  expect_text(reader, "position_embedding_type", "absolute");
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    if (reader.flag(key, false))
      fail_data("{}: {} must be false, found true: the tiny language model's body is an encoder", reader.source(), key);
  }
  if (reader.has("pruned_heads") && !reader.section("pruned_heads").unread().empty())
    fail_data("{}: pruned_heads must be empty, found heads of {} layers: take the model with all of its heads",
              reader.source(), reader.section("pruned_heads").unread().size());
  reader.has("chunk_size_feed_forward");  // says nothing about what is computed, as those below
  reader.has("gradient_checkpointing");
  reader.has("tie_word_embeddings");
  reader.has("is_encoder_decoder");
  TlmConfig c = bert_base_config();
  read_common(reader, c);
  c.embedding_size = c.bottleneck_size = c.hidden_size;
  c.validate(reader.source());
  return c;
}

}  // namespace

TlmConfig tlm_config_from_hf(const nlohmann::json& document, const std::string& source) {
  const HfReader reader(document, source);
  const std::string type = reader.text("model_type", "");
  if (type != "mobilebert" && type != "bert")
    fail_data("{}: model_type must be mobilebert or bert, found '{}'", source, type);
  const TlmConfig c = type == "bert" ? read_bert(reader) : read_mobilebert(reader);
  if (const std::string note = unread_note(reader); !note.empty()) warn_once(note);
  return c;
}

nlohmann::json tlm_config_to_hf(const TlmConfig& c) {
  const bool bert = c.kind == TlmBodyKind::kBert;
  nlohmann::json document = {{"architectures", {bert ? "BertForMaskedLM" : "MobileBertForMaskedLM"}},
                             {"model_type", c.type_name()},
                             {"vocab_size", c.vocab_size},
                             {"hidden_size", c.hidden_size},
                             {"intermediate_size", c.intermediate_size},
                             {"num_hidden_layers", c.num_layers},
                             {"num_attention_heads", c.num_heads},
                             {"max_position_embeddings", c.max_positions},
                             {"type_vocab_size", c.num_types},
                             {"pad_token_id", c.pad_token_id},
                             {"hidden_act", bert ? "gelu" : "relu"},
                             {"layer_norm_eps", c.layer_norm_eps},
                             {"hidden_dropout_prob", c.hidden_dropout},
                             {"attention_probs_dropout_prob", c.attention_dropout},
                             {"torch_dtype", "float32"}};
  if (bert) {
    document["position_embedding_type"] = "absolute";
    return document;
  }
  document.update({{"embedding_size", c.embedding_size},
                   {"intra_bottleneck_size", c.bottleneck_size},
                   {"true_hidden_size", c.inner_size()},
                   {"num_feedforward_networks", c.num_feed_forward},
                   {"use_bottleneck", c.use_bottleneck},
                   {"key_query_shared_bottleneck", c.shared_key_query},
                   {"use_bottleneck_attention", c.bottleneck_attention},
                   {"trigram_input", c.trigram_input},
                   {"normalization_type", c.norm == TlmNorm::kNone ? "no_norm" : "layer_norm"},
                   {"classifier_activation", false}});  // no pooler is stored
  return document;
}

}  // namespace elastify
