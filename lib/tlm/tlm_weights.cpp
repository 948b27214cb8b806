#include "tlm/tlm_weights.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "base/error.h"
#include "base/hash.h"

namespace elastify {
namespace {

void append_norm(std::vector<TlmSlot>& slots, TlmNormWeights& norm, const std::string& name, std::int64_t features) {
  slots.push_back({name + ".weight", &norm.weight, {features}});
  slots.push_back({name + ".bias", &norm.bias, {features}});
}

void append_dense(std::vector<TlmSlot>& slots, TlmDense& dense, const std::string& name, std::int64_t outputs,
                  std::int64_t inputs) {
  append_affine_slots(slots, dense.dense, name + ".dense", outputs, inputs);
  append_norm(slots, dense.norm, name + ".LayerNorm", outputs);
}

void append_feed_forward(std::vector<TlmSlot>& slots, TlmFeedForward& network, const TlmConfig& c,
                         const std::string& prefix) {
  append_affine_slots(slots, network.up, prefix + "intermediate.dense", c.intermediate_size, c.inner_size());
  append_dense(slots, network.down, prefix + "output", c.inner_size(), c.intermediate_size);
}

void copy_slots(const std::vector<TlmSlot>& slots, torch::Device device, torch::ScalarType dtype) {
  for (const auto& slot : slots)
    *slot.tensor = slot.tensor->detach().to(device, dtype, /*non_blocking=*/false, /*copy=*/true);
}

}  // namespace

void append_affine_slots(std::vector<TlmSlot>& slots, TlmAffine& affine, const std::string& name, std::int64_t outputs,
                         std::int64_t inputs) {
  slots.push_back({name + ".weight", &affine.weight, {outputs, inputs}});
  slots.push_back({name + ".bias", &affine.bias, {outputs}});
}

std::vector<TlmSlot> embedding_slots(TlmEmbeddings& e, const TlmConfig& c, const std::string& prefix) {
  std::vector<TlmSlot> slots = {{prefix + "word_embeddings.weight", &e.word, {c.vocab_size, c.embedding_size}},
                                {prefix + "position_embeddings.weight", &e.position, {c.max_positions, c.hidden_size}},
                                {prefix + "token_type_embeddings.weight", &e.type, {c.num_types, c.hidden_size}}};
  if (c.kind == TlmBodyKind::kMobileBert) {
    append_affine_slots(slots, e.transformation, prefix + "embedding_transformation", c.hidden_size,
                        c.embedding_size * (c.trigram_input ? 3 : 1));
  }
  append_norm(slots, e.norm, prefix + "LayerNorm", c.hidden_size);
  return slots;
}

std::vector<TlmSlot> layer_slots(TlmLayer& layer, const TlmConfig& c, const std::string& prefix) {
  const std::int64_t inner = c.inner_size();
  layer.feed_forward.resize(static_cast<std::size_t>(c.num_feed_forward));
  std::vector<TlmSlot> slots;
  if (c.use_bottleneck) {
    append_dense(slots, layer.input_bottleneck, prefix + "bottleneck.input", inner, c.hidden_size);
    if (c.shared_key_query)
      append_dense(slots, layer.attention_bottleneck, prefix + "bottleneck.attention", inner, c.hidden_size);
  }
  append_affine_slots(slots, layer.query, prefix + "attention.self.query", inner, inner);
  append_affine_slots(slots, layer.key, prefix + "attention.self.key", inner, inner);
  append_affine_slots(slots, layer.value, prefix + "attention.self.value", inner, c.value_inputs());
  append_dense(slots, layer.attention_output, prefix + "attention.output", inner, inner);
  for (std::size_t i = 0; i + 1 < layer.feed_forward.size(); ++i) {
    append_feed_forward(slots, layer.feed_forward[i], c, fmt::format("{}ffn.{}.", prefix, i));
  }
  append_feed_forward(slots, layer.feed_forward.back(), c, prefix);
  if (c.use_bottleneck)
    append_dense(slots, layer.output_bottleneck, prefix + "output.bottleneck", c.hidden_size, inner);
  return slots;
}

std::vector<TlmSlot> body_slots(TlmBody& body, const std::string& prefix) {
  body.layers.resize(static_cast<std::size_t>(body.config.num_layers));
  std::vector<TlmSlot> slots = embedding_slots(body.embeddings, body.config, prefix + "embeddings.");
  for (std::size_t i = 0; i < body.layers.size(); ++i) {
    for (auto& slot : layer_slots(body.layers[i], body.config, fmt::format("{}encoder.layer.{}.", prefix, i)))
      slots.push_back(std::move(slot));
  }
  return slots;
}

void initialise_slots(const std::vector<TlmSlot>& slots, std::uint64_t seed) {
  torch::NoGradGuard no_grad;
  for (const auto& slot : slots) {
    if (slot.shape.size() == 1) {
      const bool scale = slot.name.ends_with("LayerNorm.weight");
      *slot.tensor = scale ? torch::ones(slot.shape) : torch::zeros(slot.shape);
      continue;
    }
    const bool embedding = slot.name.ends_with("embeddings.weight");
    const double deviation = embedding ? 0.02 : 1 / std::sqrt(3 * static_cast<double>(slot.shape[1]));
    auto generator = at::detail::createCPUGenerator(derive_seed(seed, slot.name));
    *slot.tensor = torch::empty(slot.shape).normal_(0, deviation, generator);
  }
}

TlmBody random_tlm_body(const TlmConfig& config, std::uint64_t seed) {
  config.validate("the tiny language model's body");
  TlmBody body;
  body.config = config;
  initialise_slots(body_slots(body, config.prefix()), seed);
  return body;
}

TlmLayer copy_layer(const TlmLayer& layer, const TlmConfig& config, torch::Device device, torch::ScalarType dtype) {
  TlmLayer copy = layer;
  copy_slots(layer_slots(copy, config, ""), device, dtype);
  return copy;
}

TlmBody copy_body(const TlmBody& body, torch::Device device, torch::ScalarType dtype) {
  TlmBody copy = body;
  copy_slots(body_slots(copy, ""), device, dtype);
  return copy;
}

}  // namespace elastify
