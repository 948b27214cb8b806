#include "checkpoint/model_config.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "checkpoint/block_table.h"
#include "checkpoint/hf_reader.h"

namespace elastify {

namespace {

// Of the tensors that hold such units, in a block that keeps one of each.
std::int64_t weights_of(const ModelConfig& config, Unit unit) {
  const BlockWidths widths = block_widths(config, 1, 1);
  std::int64_t count = 0;
  for (const BlockTensor& entry : block_table()) {
    if (entry.unit() == unit && entry.wanted(config)) {
      count += static_cast<std::int64_t>(widths.of(entry.stored.outputs) * widths.of(entry.stored.inputs));
    }
  }
  return count;
}

}  // namespace

std::int64_t ModelConfig::weights_per_group() const { return weights_of(*this, Unit::kGroup); }
std::int64_t ModelConfig::weights_per_neuron() const { return weights_of(*this, Unit::kNeuron); }
std::int64_t ModelConfig::fixed_weights_per_block() const { return weights_of(*this, Unit::kNone); }

std::int64_t ModelConfig::weights_per_block() const {
  return num_kv_heads * weights_per_group() + intermediate_size * weights_per_neuron() + fixed_weights_per_block();
}

std::int64_t ModelConfig::weights_outside_blocks() const {
  return hidden_size + vocab_size * hidden_size * (tied_embeddings ? 1 : 2);
}

void ModelConfig::validate(const std::string& source) const {
  const auto in_range = [&](const char* name, std::int64_t value, std::int64_t high) {
    if (value < 1 || value > high) fail_data("{}: {} must be in [1, {}], found {}", source, name, high, value);
  };
  in_range("vocab_size", vocab_size, 1 << 24);
  in_range("hidden_size", hidden_size, 1 << 20);
  in_range("intermediate_size", intermediate_size, 1 << 22);
  in_range("num_hidden_layers", num_layers, 1 << 12);
  in_range("num_attention_heads", num_heads, 1 << 14);
  in_range("num_key_value_heads", num_kv_heads, num_heads);
  in_range("head_dim", head_dim, 1 << 14);
  in_range("max_position_embeddings", max_positions, 1 << 26);
  if (num_heads % num_kv_heads != 0) {
    fail_data("{}: num_attention_heads ({}) must be a multiple of num_key_value_heads ({})", source, num_heads,
              num_kv_heads);
  }
  if (head_dim % 2 != 0) fail_data("{}: head_dim must be even for rotary embeddings, found {}", source, head_dim);
  if (!(rms_norm_eps > 0) || !(rms_norm_eps < 1))
    fail_data("{}: rms_norm_eps must be in (0, 1), found {}", source, rms_norm_eps);
  if (!(rope_theta > 1) || !std::isfinite(rope_theta))
    fail_data("{}: rope_theta must be above 1, found {}", source, rope_theta);
  if (!(rope_scaling.factor >= 1))
    fail_data("{}: the factor of rope_scaling must be at least 1, found {}", source, rope_scaling.factor);
  if (rope_scaling.kind == RopeScaling::Kind::kLlama3 &&
      !(rope_scaling.high_freq_factor > rope_scaling.low_freq_factor)) {
    fail_data("{}: high_freq_factor ({}) of rope_scaling must be above low_freq_factor ({})", source,
              rope_scaling.high_freq_factor, rope_scaling.low_freq_factor);
  }
}

namespace {

using nlohmann::json;

void refuse_unsupported(const HfReader& reader, const std::string& source) {
  const std::string act = reader.text("hidden_act", "silu");
  if (act != "silu" && act != "swish") fail_data("{}: hidden_act '{}' is not supported: expected silu", source, act);
  if (reader.flag("mlp_bias", false)) fail_data("{}: mlp_bias is not supported", source);
  if (reader.has("quantization_config")) {
    fail_data("{}: quantised checkpoints are not supported: give the float32, float16 or bfloat16 original", source);
  }
}

std::int64_t read_sliding_window(const HfReader& reader, const ModelConfig& config, const std::string& source) {
  if (config.architecture == "mistral") return reader.integer("sliding_window", 0);
  if (config.architecture == "llama") return 0;                   // there a window is a key that transformers ignores
  reader.has("sliding_window"), reader.has("max_window_layers");  // count only together with use_sliding_window
  if (reader.flag("use_sliding_window", false)) {
    fail_data("{}: use_sliding_window of {} (windows in some layers only) is not supported", source,
              config.architecture);
  }
  for (const auto& type : reader.texts("layer_types")) {
    if (type != "full_attention")
      fail_data("{}: layer_types holds '{}', which is not supported: expected full_attention", source, type);
  }
  return 0;
}

}  // namespace

ModelConfig model_config_from_hf(const json& document, const std::string& source, ImportNotes* notes) {
  const HfReader reader(document, source);
  ModelConfig config;
  config.architecture = reader.text("model_type", "");
  const std::string& type = config.architecture;
  if (type != "llama" && type != "mistral" && type != "qwen2" && type != "qwen3") {
    fail_data("{}: model_type '{}' is not supported: expected llama, mistral, qwen2 or qwen3", source, type);
  }
  refuse_unsupported(reader, source);
  config.vocab_size = reader.integer("vocab_size");
  config.hidden_size = reader.integer("hidden_size");
  config.intermediate_size = reader.integer("intermediate_size");
  config.num_layers = reader.integer("num_hidden_layers");
  config.num_heads = reader.integer("num_attention_heads");
  config.num_kv_heads = reader.integer("num_key_value_heads", config.num_heads);
  const std::int64_t derived = config.num_heads > 0 ? config.hidden_size / config.num_heads : 0;
  config.head_dim = reader.integer("head_dim", type == "qwen3" ? 128 : derived);
  config.max_positions = reader.integer("max_position_embeddings", 2048);
  config.rms_norm_eps = reader.number("rms_norm_eps", 1e-6);
  const RopeConfig rope = read_rope_config(reader, config.max_positions);
  config.rope_theta = rope.theta;
  config.rope_scaling = rope.scaling;
  config.tied_embeddings = reader.flag("tie_word_embeddings", false);
  const bool attention_bias = reader.flag("attention_bias", false);
  config.qkv_bias = type == "qwen2" || attention_bias;
  config.output_bias = type != "qwen2" && attention_bias;
  config.qk_norm = type == "qwen3";
  config.sliding_window = read_sliding_window(reader, config, source);
  if (config.sliding_window < 0)
    fail_data("{}: sliding_window must not be negative, found {}", source, config.sliding_window);
  config.dtype = reader.text("torch_dtype", reader.text("dtype", "float32"));
  config.validate(source);
  if (const std::string note = unread_note(reader); notes != nullptr && !note.empty()) notes->push_back(note);
  return config;
}

json model_config_to_hf(const ModelConfig& config) {
  static const std::map<std::string, std::string> classes = {{"llama", "LlamaForCausalLM"},
                                                             {"mistral", "MistralForCausalLM"},
                                                             {"qwen2", "Qwen2ForCausalLM"},
                                                             {"qwen3", "Qwen3ForCausalLM"}};
  json document = {{"architectures", {classes.at(config.architecture)}},
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
                   {"rope_theta", config.rope_theta},
                   {"hidden_act", "silu"},
                   {"tie_word_embeddings", config.tied_embeddings},
                   {"torch_dtype", config.dtype}};
  if (config.architecture != "qwen2") document["attention_bias"] = config.qkv_bias;
  if (config.sliding_window > 0)
    document["sliding_window"] = config.sliding_window;
  else if (config.architecture == "mistral")
    document["sliding_window"] = nullptr;
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeScaling::Kind::kLinear) {
    document["rope_scaling"] = {{"rope_type", "linear"}, {"factor", scaling.factor}};
  } else if (scaling.kind == RopeScaling::Kind::kLlama3) {
    document["rope_scaling"] = {{"rope_type", "llama3"},
                                {"factor", scaling.factor},
                                {"low_freq_factor", scaling.low_freq_factor},
                                {"high_freq_factor", scaling.high_freq_factor},
                                {"original_max_position_embeddings", scaling.original_max_positions}};
  }
  return document;
}

}  // namespace elastify
