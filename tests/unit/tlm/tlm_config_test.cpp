// The encoder's configuration: the published one, and what is refused.
#include "support.h"

using namespace elastify;
using namespace elastify_test;
using nlohmann::json;

TEST_CASE("a bare mobilebert config has the published dimensions", "[tlm][unit]") {
  const TlmConfig c = tlm_config_from_hf({{"model_type", "mobilebert"}}, "config.json");
  CHECK(c == TlmConfig{});
  CHECK(c.inner_size() == 128);
  CHECK(c.head_dim() == 32);
  // MobileBERT's paper gives 25.3 M parameters; with the key-query bottleneck and all biases counted the encoder
  // has 24.6 M.
  TlmBody body;
  body.config = c;
  std::int64_t weights = 0;
  for (const auto& slot : body_slots(body, "")) weights += c10::multiply_integers(slot.shape);
  CHECK(weights == 24'581'888);
}

TEST_CASE("an encoder's config survives being written and read", "[tlm][unit]") {
  TlmConfig c = tiny_tlm_config();
  CHECK(tlm_config_from_hf(tlm_config_to_hf(c), "config.json") == c);
  c.norm = TlmNorm::kNone;
  c.use_bottleneck = c.shared_key_query = c.trigram_input = false;
  c.bottleneck_attention = true;
  c.layer_norm_eps = 1e-12;
  c.hidden_dropout = 0.25;
  CHECK(tlm_config_from_hf(tlm_config_to_hf(c), "config.json") == c);
}

TEST_CASE("a bare bert config has the dimensions of bert-base, and survives being written and read", "[tlm][unit]") {
  const TlmConfig c = tlm_config_from_hf({{"model_type", "bert"}}, "config.json");
  CHECK(c == bert_base_config());
  CHECK(tlm_config_from_hf(tlm_config_to_hf(c), "config.json") == c);
  CHECK(tlm_config_from_hf(tlm_config_to_hf(tiny_bert_config()), "config.json") == tiny_bert_config());
  // bert-base-uncased has 109.5 M parameters with its pooler of 768 * 768 + 768.
  TlmBody body;
  body.config = c;
  std::int64_t weights = 0;
  for (const auto& slot : body_slots(body, "")) weights += c10::multiply_integers(slot.shape);
  CHECK(weights == 109'482'240 - 590'592);
}

TEST_CASE("a bert that computes by other rules is refused by the key that says so", "[tlm][unit]") {
  const json good = tlm_config_to_hf(tiny_bert_config());
  const auto refused = [&](const char* key, const json& value, const char* word) {
    json document = good;
    document[key] = value;
    INFO(key << " = " << value.dump());
    expect_error(ErrorCode::kBadData, {"config.json", key, word}, [&] { tlm_config_from_hf(document, "config.json"); });
  };
  refused("hidden_act", "relu", "gelu");
  refused("hidden_act", "gelu_new", "gelu_new");
  refused("position_embedding_type", "relative_key_query", "absolute");
  refused("is_decoder", true, "encoder");
  refused("add_cross_attention", true, "encoder");
  refused("pruned_heads", {{"1", {0}}}, "1 layers");
  refused("pruned_heads", json::array({1}), "object");
  refused("num_attention_heads", 3, "multiple");
  refused("type_vocab_size", 1, "[2");
  refused("hidden_size", std::int64_t{1} << 40, "65536");
  refused("hidden_size", 20000, "16384");
  refused("layer_norm_eps", -1, "(0, 1)");
  json plain = good;
  plain["pruned_heads"] = json::object();
  plain["is_decoder"] = plain["add_cross_attention"] = false;
  CHECK(tlm_config_from_hf(plain, "config.json") == tiny_bert_config());
}

TEST_CASE("an encoder's config that makes no sense is refused with the key that is wrong", "[tlm][unit]") {
  const json good = tlm_config_to_hf(tiny_tlm_config());
  const auto refused = [&](const char* key, const json& value, const char* word) {
    json document = good;
    document[key] = value;
    INFO(key << " = " << value.dump());
    expect_error(ErrorCode::kBadData, {"config.json", key, word}, [&] { tlm_config_from_hf(document, "config.json"); });
  };
  refused("model_type", "roberta", "mobilebert or bert");
  refused("hidden_act", "gelu", "relu");
  refused("normalization_type", "rms_norm", "layer_norm");
  refused("num_attention_heads", 3, "multiple");
  refused("num_attention_heads", 0, "[1");
  refused("vocab_size", -1, "-1");
  refused("hidden_size", "512", "whole number");
  refused("hidden_size", 8, "embedding_size");
  refused("trigram_input", 1, "true or false");
  refused("pad_token_id", 40, "39");
  refused("layer_norm_eps", 0, "(0, 1)");
  refused("attention_probs_dropout_prob", 1, "[0, 1)");
  refused("true_hidden_size", 16, "8");
  refused("key_query_shared_bottleneck", false, "use_bottleneck_attention");
  expect_error(ErrorCode::kBadData, {"config.json", "object"},
               [&] { tlm_config_from_hf(json::array(), "config.json"); });
}
