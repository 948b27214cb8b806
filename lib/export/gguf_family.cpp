#include "export/gguf_family.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace elastify {
namespace {

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

// llama.cpp has no key for which layers of SmolLM3 do not turn, nor everywhere for Gemma's windows.
void check_pattern(const std::vector<bool>& layers, std::size_t period, const std::string& what) {
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    if (layers[layer] == ((layer + 1) % period != 0)) continue;
    fail_usage("{}, and llama.cpp takes that to be so of every {}th layer: export with --format hf", what, period);
  }
}

void refuse_what_it_lacks(const ModelConfig& c) {
  constexpr std::size_t kSmolLm3Period = 4, kGemmaPeriod = 6;
  check_pattern(c.rope_layers, kSmolLm3Period, "this model has other layers that do not turn");
  check_pattern(c.window_layers, kGemmaPeriod, "this model has other layers without the window");
  constexpr std::int64_t kLargestGemma = 62;
  if (c.attention_scale > 0 && c.num_layers != kLargestGemma)
    fail_usage("llama.cpp's gemma3 knows no attention scale of {:g}: export with --format hf", c.attention_scale);
  if (c.output_bias || c.qkv_bias)
    fail_usage("llama.cpp's {} has no biases: export with --format hf", own_architecture(c));
}

ExportShape with_every_layer(const LevelWidths& widths) {
  ExportShape shape;
  shape.layers.resize(widths.kv_groups.size());
  std::iota(shape.layers.begin(), shape.layers.end(), 0);
  shape.kept = shape.written = widths;
  return shape;
}

}  // namespace

std::string own_architecture(const ModelConfig& config) {
  if (config.architecture == "gemma3_text") return "gemma3";
  return config.architecture == "smollm3" || config.architecture == "phi3" ? config.architecture : "";
}

void shape_for_family(const ExportOptions& options, const LevelFacts& facts, ExportShape& shape, ExportNotes& notes) {
  const ModelConfig& c = facts.config;
  refuse_what_it_lacks(c);
  shape = with_every_layer(facts.widths);
  const std::string architecture = own_architecture(c);
  // Its queries, keys and values lie in one tensor that is taken to hold as many queries as the model is wide.
  if (c.architecture == "phi3" && shape.written.kv_groups != full_widths(c).kv_groups) {
    pad_for(options, facts, "llama.cpp's phi3 has as many heads in every layer as fit the model's width", shape, notes);
    shape.written.kv_groups = full_widths(c).kv_groups;
  }
  pad_for(options, facts, "llama.cpp's " + architecture + " has layers of one width", shape, notes);
}

void add_family_keys(const ModelConfig& c, const std::string& prefix, elrt::gguf::Metadata& m) {
  if (c.architecture == "smollm3") return;
  m[prefix + "attention.sliding_window"] = u32(c.sliding_window);
  if (c.local_rope_theta > 0) m[prefix + "rope.freq_base_swa"] = static_cast<float>(c.local_rope_theta);
  m[prefix + "rope.dimension_count"] = u32(c.turned_dims());
  if (c.rope_scaling.kind != RopeScaling::Kind::kLongRope) return;
  m[prefix + "rope.scaling.original_context_length"] = u32(c.rope_scaling.original_max_positions);
  m[prefix + "rope.scaling.attn_factor"] = static_cast<float>(c.rope_scaling.magnitude);
}

}  // namespace elastify
