// config.json of the families that are known, read and written.
#include <cmath>
#include <map>

#include "base/error.h"
#include "checkpoint/hf_reader.h"
#include "checkpoint/model_config.h"

namespace elastify {
namespace {

using nlohmann::json;

struct Family {
  const char* model_type;
  const char* model_class;
  std::int64_t head_dim;  // where config.json says none; 0: hidden_size / num_attention_heads
  bool tied;              // where config.json does not say
};
constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", 0, false},    {"mistral", "MistralForCausalLM", 0, false},
    {"qwen2", "Qwen2ForCausalLM", 0, false},    {"qwen3", "Qwen3ForCausalLM", 128, false},
    {"smollm3", "SmolLM3ForCausalLM", 0, true}, {"gemma3_text", "Gemma3ForCausalLM", 256, true},
    {"phi3", "Phi3ForCausalLM", 0, false}};

const Family* find_family(const std::string& model_type) {
  for (const Family& family : kFamilies) {
    if (model_type == family.model_type) return &family;
  }
  return nullptr;
}

const Family& family_of(const std::string& type, const std::string& source) {
  if (const Family* family = find_family(type)) return *family;
  if (type == "gemma3")
    fail_data(
        "{}: model_type 'gemma3' holds a model of images too, which is not supported: give its text model "
        "(gemma3_text), or a GGUF file of it",
        source);
  fail_data("{}: model_type '{}' is not supported: expected llama, mistral, qwen2, qwen3, smollm3, gemma3_text or phi3",
            source, type);
}

bool read_gelu(const HfReader& reader, bool gemma, const std::string& source) {
  const char* key = gemma ? "hidden_activation" : "hidden_act";
  const std::string act = reader.text(key, gemma ? "gelu_pytorch_tanh" : "silu");
  if (gemma) reader.has("hidden_act");  // transformers reads the other one
  if (gemma && act == "gelu_pytorch_tanh") return true;
  if (gemma || (act != "silu" && act != "swish"))
    fail_data("{}: {} '{}' is not supported: expected {}", source, key, act, gemma ? "gelu_pytorch_tanh" : "silu");
  return false;
}

void refuse_unsupported(const HfReader& reader, const std::string& source) {
  if (reader.flag("mlp_bias", false)) fail_data("{}: mlp_bias is not supported", source);
  if (reader.has("quantization_config")) {
    fail_data("{}: quantised checkpoints are not supported: give the float32, float16 or bfloat16 original", source);
  }
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    if (reader.has(key) && reader.number(key) != 0)
      fail_data("{}: {} {} is not supported", source, key, reader.number(key));
  }
  if (reader.flag("use_bidirectional_attention", false))
    fail_data("{}: use_bidirectional_attention is not supported", source);
}

// Which layers have the window, by layer_types or, in older files, by a period.
std::vector<bool> read_window_layers(const HfReader& reader, std::int64_t layers, const std::string& source) {
  std::vector<bool> windowed;
  const auto types = reader.texts("layer_types");
  const std::int64_t period = reader.integer("sliding_window_pattern", reader.integer("_sliding_window_pattern", 6));
  if (types.empty() && period < 1) fail_data("{}: sliding_window_pattern must be at least 1, found {}", source, period);
  for (std::int64_t layer = 0; types.empty() && layer < layers; ++layer) windowed.push_back((layer + 1) % period != 0);
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      fail_data("{}: layer_types holds '{}': expected full_attention or sliding_attention", source, type);
    windowed.push_back(type == "sliding_attention");
  }
  if (static_cast<std::int64_t>(windowed.size()) != layers)
    fail_data("{}: layer_types has {} entries, expected one for each of {} layers", source, windowed.size(), layers);
  return windowed;
}

void read_window(const HfReader& reader, ModelConfig& config, const std::string& source) {
  const std::string& type = config.architecture;
  if (type == "llama") return;  // there a window is a key that transformers ignores
  if (type == "mistral" || type == "phi3" || type == "gemma3_text") {
    config.sliding_window = reader.integer("sliding_window", type == "gemma3_text" ? 4096 : 0);
    if (config.sliding_window < 0)
      fail_data("{}: sliding_window must not be negative, found {}", source, config.sliding_window);
    if (type == "gemma3_text") config.window_layers = read_window_layers(reader, config.num_layers, source);
    return;
  }
  reader.has("sliding_window"), reader.has("max_window_layers");  // count only together with use_sliding_window
  if (reader.flag("use_sliding_window", false))
    fail_data("{}: use_sliding_window of {} (windows in some layers only) is not supported", source, type);
  for (const auto& layer : reader.texts("layer_types")) {
    if (layer != "full_attention")
      fail_data("{}: layer_types holds '{}', which is not supported: expected full_attention", source, layer);
  }
}

// SmolLM3's no_rope_layers holds 1 for the layers that turn.
void read_rope_layers(const HfReader& reader, ModelConfig& config, const std::string& source) {
  const std::int64_t step = reader.integer("no_rope_layer_interval", 4);
  if (!reader.has("no_rope_layers")) {
    if (step < 1) fail_data("{}: no_rope_layer_interval must be at least 1, found {}", source, step);
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer)
      config.rope_layers.push_back((layer + 1) % step != 0);
    return;
  }
  for (const double turns : reader.numbers("no_rope_layers")) {
    if (turns != 0 && turns != 1) fail_data("{}: no_rope_layers must hold 0 and 1, found {}", source, turns);
    config.rope_layers.push_back(turns == 1);
  }
  if (static_cast<std::int64_t>(config.rope_layers.size()) != config.num_layers)
    fail_data("{}: no_rope_layers has {} entries, expected one for each of {} layers", source,
              config.rope_layers.size(), config.num_layers);
}

void read_gemma(const HfReader& reader, ModelConfig& config, const std::string& source) {
  config.half_norms = true;
  config.qk_norm = true;
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  const double scalar = reader.number("query_pre_attn_scalar", 256);
  if (!(scalar > 0)) fail_data("{}: query_pre_attn_scalar must be above 0, found {}", source, scalar);
  if (scalar != static_cast<double>(config.head_dim)) config.attention_scale = 1 / std::sqrt(scalar);
}

void read_rotation(const HfReader& reader, ModelConfig& config, const std::string& source) {
  const bool gemma = config.architecture == "gemma3_text", phi = config.architecture == "phi3";
  const RopeConfig rope = read_rope_config(reader, config.max_positions, {gemma, phi});
  config.rope_theta = rope.theta;
  config.rope_scaling = rope.scaling;
  config.local_rope_theta = rope.local_theta;
  if (rope.turned_share != 1)
    config.rotary_dim = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * rope.turned_share);
  if (config.architecture == "smollm3") read_rope_layers(reader, config, source);
}

void read_sizes(const HfReader& reader, const Family& family, ModelConfig& config) {
  config.vocab_size = reader.integer("vocab_size");
  config.hidden_size = reader.integer("hidden_size");
  config.intermediate_size = reader.integer("intermediate_size");
  config.num_layers = reader.integer("num_hidden_layers");
  config.num_heads = reader.integer("num_attention_heads");
  config.num_kv_heads = reader.integer("num_key_value_heads", config.num_heads);
  const std::int64_t derived = config.num_heads > 0 ? config.hidden_size / config.num_heads : 0;
  config.head_dim = reader.integer("head_dim", family.head_dim > 0 ? family.head_dim : derived);
  config.max_positions = reader.integer("max_position_embeddings", 2048);
  config.rms_norm_eps = reader.number("rms_norm_eps", 1e-6);
}

}  // namespace

ModelConfig model_config_from_hf(const json& document, const std::string& source, ImportNotes* notes) {
  const HfReader reader(document, source);
  ModelConfig config;
  config.architecture = reader.text("model_type", "");
  const std::string& type = config.architecture;
  const Family& family = family_of(type, source);
  refuse_unsupported(reader, source);
  config.gelu = read_gelu(reader, type == "gemma3_text", source);
  read_sizes(reader, family, config);
  config.tied_embeddings = reader.flag("tie_word_embeddings", family.tied);
  const bool attention_bias = reader.flag("attention_bias", false);
  if (type == "phi3" && attention_bias) fail_data("{}: attention_bias is not supported", source);
  config.qkv_bias = type == "qwen2" || attention_bias;
  config.output_bias = type != "qwen2" && attention_bias;
  config.qk_norm = type == "qwen3";
  if (type == "gemma3_text") read_gemma(reader, config, source);
  if (type == "phi3") reader.has("embd_pdrop"), reader.has("resid_pdrop");
  read_rotation(reader, config, source);
  read_window(reader, config, source);
  config.dtype = reader.text("torch_dtype", reader.text("dtype", "float32"));
  config.validate(source);
  if (const std::string note = unread_note(reader); notes != nullptr && !note.empty()) notes->push_back(note);
  return config;
}

namespace {

void write_layers(const ModelConfig& config, json& document) {
  if (config.architecture == "gemma3_text") {
    json types = json::array();
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer)
      types.push_back(config.windowed(layer) ? "sliding_attention" : "full_attention");
    document["layer_types"] = types;
  }
  if (config.architecture == "smollm3") {
    json turns = json::array();
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) turns.push_back(config.turns(layer) ? 1 : 0);
    document["no_rope_layers"] = turns;
  }
  const bool window = config.architecture == "mistral" || config.architecture == "phi3";
  if (config.sliding_window > 0)
    document["sliding_window"] = config.sliding_window;
  else if (window)
    document["sliding_window"] = nullptr;
}

}  // namespace

json model_config_to_hf(const ModelConfig& config) {
  const bool gemma = config.architecture == "gemma3_text";
  json document = {{"architectures", {find_family(config.architecture)->model_class}},
                   {"model_type", config.architecture},
                   {"vocab_size", config.vocab_size},
                   {"hidden_size", config.hidden_size},
                   {"intermediate_size", config.intermediate_size},
                   {"num_hidden_layers", config.num_layers},
                   {"num_attention_heads", config.num_heads},
                   {"num_key_value_heads", config.num_kv_heads},
                   {"head_dim", config.head_dim},
                   {"max_position_embeddings", config.max_positions},
                   {"rms_norm_eps", config.rms_norm_eps},
                   {gemma ? "hidden_activation" : "hidden_act", config.gelu ? "gelu_pytorch_tanh" : "silu"},
                   {"tie_word_embeddings", config.tied_embeddings},
                   {"torch_dtype", config.dtype}};
  if (config.architecture != "qwen2") document["attention_bias"] = config.qkv_bias;
  if (gemma) {
    const double scale = config.score_scale();
    document["query_pre_attn_scalar"] = std::llround(1 / (scale * scale));  // transformers wants it whole
  }
  // These families' default is an id of their own vocabularies, which a smaller one lacks.
  if (config.architecture == "smollm3" || config.architecture == "phi3") document["pad_token_id"] = nullptr;
  write_rope_config(config, document);
  write_layers(config, document);
  return document;
}

}  // namespace elastify
