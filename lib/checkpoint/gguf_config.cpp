#include "checkpoint/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include <fmt/ranges.h>

#include "base/error.h"
#include "gguf/gguf_keys.h"

namespace elastify {
namespace {

struct Architecture {
  const char* name;  // general.architecture
  const char* ours;  // ModelConfig::architecture
  bool interleaved_rope;
};
// llama.cpp stores queries and keys of Llama models so that neighbouring rows turn together.
constexpr Architecture kArchitectures[] = {{"llama", "llama", true},     {"deci", "llama", true},
                                           {"qwen2", "qwen2", false},    {"qwen3", "qwen3", false},
                                           {"smollm3", "smollm3", true}, {"gemma3", "gemma3_text", false},
                                           {"phi3", "phi3", false}};

const Architecture& find_architecture(const GgufKeys& keys) {
  const std::string name = keys.text("general.architecture").value_or("");
  for (const Architecture& known : kArchitectures) {
    if (name == known.name) return known;
  }
  if (name.empty()) fail_data("{}: key general.architecture is missing", keys.source());
  fail_data(
      "{}: architecture '{}' is not supported: expected llama (Mistral too), qwen2, qwen3, smollm3, gemma3, phi3 "
      "or deci",
      keys.source(), name);
}

// Keys that ask for a computation which nothing here does, with the values that ask for nothing.
void refuse_unsupported(const GgufKeys& keys, const std::string& prefix) {
  for (const char* key : {"expert_count", "expert_used_count", "attention.max_alibi_bias", "attention.clamp_kqv",
                          "attn_logit_softcapping", "final_logit_softcapping", "attention.scale", "logit_scale",
                          "residual_scale", "embedding_scale", "attention.temperature_scale"}) {
    const std::string name = prefix + key;
    const double value = keys.has(name) ? keys.number(name).value_or(0) : 0;
    const bool factor = name.ends_with("_scale") || name.ends_with("_factor");  // 1 changes nothing either
    if (value != 0 && !(factor && value == 1)) fail_data("{}: {} {} is not supported", keys.source(), name, value);
  }
  if (!keys.flag(prefix + "attention.causal").value_or(true))
    fail_data("{}: {}attention.causal is false: an encoder is not supported", keys.source(), prefix);
  if (keys.flag(prefix + "use_parallel_residual").value_or(false))
    fail_data("{}: {}use_parallel_residual is not supported", keys.source(), prefix);
}

void read_rope(const GgufKeys& keys, const std::string& prefix, ModelConfig& config) {
  config.rope_theta = keys.number(prefix + "rope.freq_base").value_or(10000);
  const bool phi = config.architecture == "phi3";
  const std::int64_t turned = keys.integer(prefix + "rope.dimension_count").value_or(config.head_dim);
  if (turned != config.head_dim && !phi) {
    fail_data("{}: {}rope.dimension_count {} is not supported: expected {}, whole heads turn", keys.source(), prefix,
              turned, config.head_dim);
  }
  if (turned != config.head_dim) config.rotary_dim = turned;
  if (const double factor = keys.number(prefix + "rope.scaling.attn_factor").value_or(1); factor != 1 && factor != 0) {
    if (!phi) fail_data("{}: {}rope.scaling.attn_factor {} is not supported", keys.source(), prefix, factor);
    config.rope_scaling.magnitude = factor;  // of the factors that the tensors hold
  }
  // Older files have scale_linear alone. A factor without a type is linear, as in llama.cpp.
  const double old_factor = keys.number(prefix + "rope.scale_linear").value_or(1);
  const double factor = keys.number(prefix + "rope.scaling.factor").value_or(old_factor);
  const std::string type = keys.text(prefix + "rope.scaling.type").value_or("linear");
  if (type != "linear" && type != "none")
    fail_data("{}: {}rope.scaling.type '{}' is not supported: expected none or linear, or rope_freqs.weight",
              keys.source(), prefix, type);
  if (type == "linear" && factor != 1 && factor != 0) {
    config.rope_scaling.kind = RopeScaling::Kind::kLinear;
    config.rope_scaling.factor = factor;
  }
  const auto original = keys.integer(prefix + "rope.scaling.original_context_length");
  if (phi) config.rope_scaling.original_max_positions = original.value_or(config.max_positions);
  keys.has(prefix + "rope.scaling.finetuned");
}

// Every 4th layer of SmolLM3 does not turn; llama.cpp has no key for it.
void add_smollm3(ModelConfig& config) {
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) config.rope_layers.push_back((layer + 1) % 4 != 0);
}

// What llama.cpp knows of Gemma 3 without a key: every 6th layer sees everything, embeddings are scaled, and the
// largest model divides its scores by another width.
void add_gemma(const GgufKeys& keys, const std::string& prefix, ModelConfig& config) {
  constexpr std::int64_t kLargestLayers = 62, kPeriod = 6;
  config.gelu = config.half_norms = config.qk_norm = true;
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  if (config.num_layers == kLargestLayers) {
    config.attention_scale =
        1 / std::sqrt(static_cast<double>(config.hidden_size) / static_cast<double>(config.num_heads));
  }
  config.local_rope_theta = keys.number(prefix + "rope.freq_base_swa").value_or(10000);
  config.sliding_window = keys.integer(prefix + "attention.sliding_window").value_or(0);
  if (config.sliding_window < 1)
    fail_data("{}: {}attention.sliding_window {} is not supported: expected the window of {} layers in {}",
              keys.source(), prefix, config.sliding_window, kPeriod - 1, kPeriod);
  const auto pattern = keys.has(prefix + "attention.sliding_window_pattern")
                           ? keys.per_layer(prefix + "attention.sliding_window_pattern", config.num_layers)
                           : std::nullopt;
  const bool by_layer = pattern && std::all_of(pattern->begin(), pattern->end(), [](auto n) { return n <= 1; });
  const std::int64_t period = pattern && !by_layer ? pattern->front() : kPeriod;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    const bool windowed = by_layer ? (*pattern)[static_cast<std::size_t>(layer)] != 0 : (layer + 1) % period != 0;
    config.window_layers.push_back(windowed);
  }
}

// Of families in which a window covers every layer that there is.
void read_window(const GgufKeys& keys, const std::string& prefix, ModelConfig& config) {
  const std::int64_t window = keys.integer(prefix + "attention.sliding_window").value_or(0);
  if (window == 0) return;
  const bool known = config.architecture == "llama" || config.architecture == "phi3";
  if (!known || window < 0)
    fail_data("{}: {}attention.sliding_window {} is not supported", keys.source(), prefix, window);
  if (config.architecture == "llama") config.architecture = "mistral";
  config.sliding_window = window;
}

// Heads of every layer: their widths, and how many queries share a key.
void read_heads(const GgufKeys& keys, const std::string& prefix, GgufConfig& found) {
  ModelConfig& config = found.config;
  const auto heads = keys.per_layer(prefix + "attention.head_count", config.num_layers);
  if (!heads) fail_data("{}: key {}attention.head_count is missing", keys.source(), prefix);
  found.kv_heads = keys.per_layer(prefix + "attention.head_count_kv", config.num_layers).value_or(*heads);
  config.num_kv_heads = *std::max_element(found.kv_heads.begin(), found.kv_heads.end());
  std::optional<std::int64_t> shared;  // queries for each key
  for (std::size_t layer = 0; layer < heads->size(); ++layer) {
    const std::int64_t q = (*heads)[layer], kv = found.kv_heads[layer];
    if (q == 0 && kv == 0) continue;
    if (kv == 0)
      fail_data("{}: layer {} has {} heads without keys (linear attention), which is not supported", keys.source(),
                layer, q);
    if (q == 0 || q % kv != 0)
      fail_data("{}: layer {} has {} heads, which is no multiple of its {} KV heads", keys.source(), layer, q, kv);
    if (shared && *shared != q / kv) {
      fail_data("{}: layer {} has {} heads for each KV head, layers before it {}: that is not supported", keys.source(),
                layer, q / kv, *shared);
    }
    shared = q / kv;
  }
  if (!shared) fail_data("{}: key {}attention.head_count gives no layer a head", keys.source(), prefix);
  config.num_heads = config.num_kv_heads * *shared;
  config.head_dim = keys.integer(prefix + "attention.key_length").value_or(config.hidden_size / config.num_heads);
  const std::int64_t value_length = keys.integer(prefix + "attention.value_length").value_or(config.head_dim);
  if (value_length != config.head_dim) {
    fail_data("{}: {}attention.value_length is {}, key_length {}: different widths are not supported", keys.source(),
              prefix, value_length, config.head_dim);
  }
}

double pair_length(double theta, std::size_t pair, std::size_t pairs) {
  return 2 * std::numbers::pi * std::pow(theta, static_cast<double>(pair) / static_cast<double>(pairs));
}

// Llama 3.1's rule (transformers, _compute_llama3_parameters) for one pair whose period is `length` positions.
double llama3_factor(const RopeScaling& scaling, double length) {
  const auto original = static_cast<double>(scaling.original_max_positions);
  if (length < original / scaling.high_freq_factor) return 1;
  if (length > original / scaling.low_freq_factor) return scaling.factor;
  const double share =
      (original / length - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return 1 / ((1 - share) / scaling.factor + share);
}

bool gives(const RopeScaling& scaling, const std::vector<float>& factors, double theta) {
  if (scaling.original_max_positions < 1 || !(scaling.high_freq_factor > scaling.low_freq_factor)) return false;
  for (std::size_t pair = 0; pair < factors.size(); ++pair) {
    const double expected = llama3_factor(scaling, pair_length(theta, pair, factors.size()));
    if (!(std::fabs(factors[pair] - expected) <= 4e-7 * expected)) return false;
  }
  return true;
}

}  // namespace

RopeScaling scaling_from_factors(const std::vector<float>& factors, double theta, const std::string& source) {
  RopeScaling scaling;
  const double factor = factors.empty() ? 1 : factors.back();
  if (std::all_of(factors.begin(), factors.end(), [](float f) { return f == 1; })) return scaling;
  scaling.kind = RopeScaling::Kind::kLlama3;
  scaling.factor = factor;
  // Scaling all of original, low and high alike changes nothing, so low is 1. A blended pair of period L has
  // share = (original / L - 1) / (high - 1); pairs before the first blended one are shorter than original / high, pairs
  // after the last longer than original.
  double longest_kept = 0, shortest_stretched = INFINITY;
  std::vector<std::pair<double, double>> blended;  // 1 / L, share
  for (std::size_t pair = 0; pair < factors.size(); ++pair) {
    const double length = pair_length(theta, pair, factors.size()), f = factors[pair];
    if (f == 1)
      longest_kept = length;
    else if (f == factor)
      shortest_stretched = std::min(shortest_stretched, length);
    else
      blended.emplace_back(1 / length, (1 / f - 1 / factor) / (1 - 1 / factor));
  }
  const auto try_with = [&](double original, double high) {
    scaling.original_max_positions = std::llround(std::min(original, 1e9));
    scaling.low_freq_factor = 1;
    scaling.high_freq_factor = high;
    return gives(scaling, factors, theta);
  };
  // Everyone's high_freq_factor first.
  if (!blended.empty() && try_with((1 + 3 * blended[0].second) / blended[0].first, 4)) return scaling;
  if (blended.empty()) {
    for (const double original : {8192.0, std::sqrt(std::max(4 * longest_kept, 1.0) * shortest_stretched)}) {
      if (try_with(original, 4)) return scaling;
    }
  } else if (blended.size() > 1) {
    const auto [x1, s1] = blended.front();
    const auto [x2, s2] = blended.back();
    const double slope = (s1 - s2) / (x1 - x2), high = 1 + 1 / (slope * x1 - s1);  // original = slope (high - 1)
    if (try_with(slope * (high - 1), std::round(high * 1e6) / 1e6)) return scaling;
  }
  fail_data("{}: the factors of rope_freqs.weight are not those of Llama 3's scaling, the only one supported", source);
}

GgufConfig gguf_config(const GgufFile& file, ImportNotes& notes) {
  const GgufKeys keys(file);
  const Architecture& architecture = find_architecture(keys);
  const std::string prefix = std::string(architecture.name) + ".";
  refuse_unsupported(keys, prefix);
  GgufConfig found;
  found.interleaved_rope = architecture.interleaved_rope;
  ModelConfig& config = found.config;
  config.architecture = architecture.ours;
  config.hidden_size = keys.need_integer(prefix + "embedding_length");
  config.num_layers = keys.need_integer(prefix + "block_count");
  if (config.num_layers < 1 || config.num_layers > 1 << 12 || config.hidden_size < 1)
    fail_data("{}: {} layers of width {} are impossible", keys.source(), config.num_layers, config.hidden_size);
  const auto neurons = keys.per_layer(prefix + "feed_forward_length", config.num_layers);
  if (!neurons) fail_data("{}: key {}feed_forward_length is missing", keys.source(), prefix);
  found.neurons = *neurons;
  config.intermediate_size = *std::max_element(neurons->begin(), neurons->end());
  read_heads(keys, prefix, found);
  config.max_positions = keys.need_integer(prefix + "context_length");
  const auto eps = keys.number(prefix + "attention.layer_norm_rms_epsilon");
  if (!eps) fail_data("{}: key {}attention.layer_norm_rms_epsilon is missing", keys.source(), prefix);
  config.rms_norm_eps = *eps;
  config.qk_norm = config.architecture == "qwen3";
  read_rope(keys, prefix, config);
  if (config.architecture == "gemma3_text")
    add_gemma(keys, prefix, config);
  else
    read_window(keys, prefix, config);
  if (config.architecture == "smollm3") add_smollm3(config);
  keys.has(prefix + "vocab_size");
  if (const auto unread = keys.unread(prefix); !unread.empty()) {
    notes.push_back(
        fmt::format("{}: ignored, because nothing here reads {}: {}; if the model's computation depends on {}, it is "
                    "another model",
                    keys.source(), unread.size() == 1 ? "it" : "them", fmt::join(unread, ", "),
                    unread.size() == 1 ? "it" : "them"));
  }
  return found;
}

}  // namespace elastify
