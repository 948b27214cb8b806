#include "tlm/tlm_settings.h"

namespace elastify {

TlmConfig TlmBodyConfig::resolve(std::int64_t vocabulary) const {
  TlmConfig c;
  c.vocab_size = vocabulary;
  c.embedding_size = embedding_size;
  c.hidden_size = hidden_size;
  c.bottleneck_size = bottleneck_size;
  c.intermediate_size = intermediate_size;
  c.num_layers = num_layers;
  c.num_heads = num_heads;
  c.num_feed_forward = num_feed_forward;
  c.max_positions = max_positions;
  c.norm = TlmNorm::kLayer;  // NoNorm needs the published recipe's distillation to train well
  c.attention_dropout = 0;   // a body this small underfits
  c.validate("tlm.size");
  return c;
}

namespace {

double layer_cost(const TlmConfig& c, double tokens) {
  const auto inner = static_cast<double>(c.inner_size()), hidden = static_cast<double>(c.hidden_size),
             intermediate = static_cast<double>(c.intermediate_size);
  double cost = inner * (3 * inner + static_cast<double>(c.value_inputs())) +
                static_cast<double>(c.num_feed_forward) * 2 * inner * intermediate;
  if (c.use_bottleneck) cost += hidden * inner * (c.shared_key_query ? 3 : 2);
  return tokens * (cost + 2 * tokens * inner);
}

}  // namespace

TlmCost tlm_cost(const DualHead& model, std::int64_t tokens) {
  const TlmConfig& c = model.body;
  const auto n = static_cast<double>(tokens);
  const std::int64_t per_word = c.transforms_words() ? (c.trigram_input ? 3 : 1) * c.embedding_size * c.hidden_size : 0;
  const double embedding = n * static_cast<double>(per_word), layer = layer_cost(c, n);
  const auto count = [](const std::vector<TlmLayer>& layers) { return static_cast<double>(layers.size()); };
  return {embedding + (count(model.bottom) + count(model.decision_layers)) * layer, count(model.score_layers) * layer};
}

}  // namespace elastify
