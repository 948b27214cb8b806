#include "tlm/dual_head.h"

#include <algorithm>
#include <functional>

#include "base/error.h"

namespace elastify {
namespace {

void check_rising(const char* name, const std::vector<std::int64_t>& levels) {
  const bool rising = std::adjacent_find(levels.begin(), levels.end(), std::greater_equal<>()) == levels.end();
  if (levels.empty() || !rising)
    fail_usage("{}: expected strictly rising levels, found [{}]", name, fmt::join(levels, ", "));
}

DualHeadConfig resolve(DualHeadConfig settings, const TlmConfig& body) {
  check_rising("model_levels", settings.model_levels);
  check_rising("prompt_levels", settings.prompt_levels);
  if (settings.bottom_layers == 0) settings.bottom_layers = (body.num_layers + 1) / 2;
  const std::int64_t above = body.num_layers - settings.bottom_layers;
  if (above < 1)
    fail_usage("bottom_layers ({}) must leave the heads at least one of the body's {} layers", settings.bottom_layers,
               body.num_layers);
  for (auto* count : {&settings.score_layers, &settings.decision_layers}) {
    if (*count == 0) *count = above;
    if (*count > above) {
      fail_usage("a head cannot have {} layers: the body has {}, of which {} are shared", *count, body.num_layers,
                 settings.bottom_layers);
    }
  }
  return settings;
}

std::vector<TlmLayer> copy_range(const TlmBody& body, std::int64_t first, std::int64_t count) {
  std::vector<TlmLayer> layers;
  for (std::int64_t i = first; i < first + count; ++i) {
    layers.push_back(copy_layer(body.layers[static_cast<std::size_t>(i)], body.config, body.embeddings.word.device(),
                                body.embeddings.word.scalar_type()));
  }
  return layers;
}

void append(std::vector<TlmSlot>& slots, std::vector<TlmSlot> more) {
  for (auto& slot : more) slots.push_back(std::move(slot));
}

void append_layers(std::vector<TlmSlot>& slots, std::vector<TlmLayer>& layers, std::int64_t count,
                   const TlmConfig& config, const std::string& prefix) {
  layers.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < layers.size(); ++i)
    append(slots, layer_slots(layers[i], config, fmt::format("{}{}.", prefix, i)));
}

std::vector<TlmSlot> classifier_slots(DualHead& m) {
  std::vector<TlmSlot> slots;
  const auto levels = [](const std::vector<std::int64_t>& list) { return static_cast<std::int64_t>(list.size()); };
  append_affine_slots(slots, m.score, "score.classifier", 2, m.body.hidden_size);
  append_affine_slots(slots, m.model_level, "decision.model_level", levels(m.settings.model_levels),
                      m.body.hidden_size);
  append_affine_slots(slots, m.prompt_level, "decision.prompt_level", levels(m.settings.prompt_levels),
                      m.body.hidden_size);
  return slots;
}

}  // namespace

DualHead with_levels_of(const DualHead& trained, const DualHeadConfig& settings, std::uint64_t seed) {
  torch::NoGradGuard no_grad;
  const DualHeadConfig want = resolve(settings, trained.body);
  const DualHeadConfig& have = trained.settings;
  const auto expect = [](const char* name, const auto& asked, const auto& found) {
    if (asked != found)
      fail_usage("{} is {}, the trained model has {}: leave it at that, or train one from nothing", name, asked, found);
  };
  expect("bottom_layers", want.bottom_layers, have.bottom_layers);
  expect("score_layers", want.score_layers, have.score_layers);
  expect("decision_layers", want.decision_layers, have.decision_layers);
  expect("ttft_levels", fmt::format("[{}]", fmt::join(want.ttft_levels, ", ")),
         fmt::format("[{}]", fmt::join(have.ttft_levels, ", ")));
  expect("tpot_levels", fmt::format("[{}]", fmt::join(want.tpot_levels, ", ")),
         fmt::format("[{}]", fmt::join(have.tpot_levels, ", ")));
  DualHead model = trained;
  model.settings = want;
  model.model_level = model.prompt_level = {};
  std::vector<TlmSlot> fresh;
  for (auto& slot : classifier_slots(model)) {
    if (slot.name.starts_with("decision.")) fresh.push_back(std::move(slot));
  }
  initialise_slots(fresh, seed);
  for (const auto& slot : fresh)
    *slot.tensor = slot.tensor->to(model.slo_embeddings.device(), model.slo_embeddings.scalar_type());
  return model;
}

DualHead make_dual_head(const TlmBody& body, const DualHeadConfig& settings, std::uint64_t seed) {
  torch::NoGradGuard no_grad;
  DualHead model;
  model.body = body.config;
  model.settings = resolve(settings, body.config);
  const DualHeadConfig& s = model.settings;
  model.body.num_layers = s.bottom_layers + std::max(s.score_layers, s.decision_layers);
  model.slo = SloTokens(body.config.vocab_size, s.ttft_levels, s.tpot_levels);
  const torch::Tensor& word = body.embeddings.word;
  model.embeddings = body.embeddings;
  for (const auto& slot : embedding_slots(model.embeddings, body.config, ""))
    *slot.tensor = slot.tensor->detach().clone();
  const double norm = word.norm(2, 1).mean().item<double>();
  model.slo_embeddings =
      orthogonal_rows(model.slo.count(), body.config.embedding_size, norm, seed).to(word.device(), word.scalar_type());
  model.bottom = copy_range(body, 0, s.bottom_layers);
  model.score_layers = copy_range(body, s.bottom_layers, s.score_layers);
  model.decision_layers = copy_range(body, s.bottom_layers, s.decision_layers);
  const auto classifiers = classifier_slots(model);
  initialise_slots(classifiers, seed);
  for (const auto& slot : classifiers) *slot.tensor = slot.tensor->to(word.device(), word.scalar_type());
  return model;
}

torch::Tensor dual_head_words(const DualHead& m, const torch::Tensor& tokens) {
  const std::int64_t vocab = m.body.vocab_size;
  const torch::Tensor words = torch::embedding(m.embeddings.word, tokens.clamp_max(vocab - 1));
  const torch::Tensor slos = torch::embedding(m.slo_embeddings, (tokens - vocab).clamp_min(0));
  return torch::where((tokens >= vocab).unsqueeze(-1), slos, words);
}

torch::Tensor shared_states(const DualHead& m, const TlmBatch& batch, const TlmForward& options) {
  const torch::Tensor x =
      tlm_embed(m.embeddings, m.body, dual_head_words(m, batch.tokens), batch.mask, batch.types, options);
  return tlm_layers(m.bottom, m.body, x, batch.mask, options);
}

torch::Tensor score_logits(const DualHead& m, const torch::Tensor& shared, const torch::Tensor& mask,
                           const TlmForward& options) {
  return tlm_affine(m.score, tlm_layers(m.score_layers, m.body, shared, mask, options));
}

DecisionLogits decision_logits(const DualHead& m, const torch::Tensor& shared, const torch::Tensor& mask,
                               const TlmForward& options) {
  const torch::Tensor first = tlm_layers(m.decision_layers, m.body, shared, mask, options).select(1, 0);
  return {tlm_affine(m.model_level, first), tlm_affine(m.prompt_level, first)};
}

torch::Tensor word_keep_probability(const torch::Tensor& logits, const torch::Tensor& words, std::int64_t count) {
  const torch::Tensor retain = torch::softmax(logits, -1).select(-1, 1);
  // Column 0 gathers the tokens of no word, and is dropped.
  const torch::Tensor sums =
      torch::zeros({words.size(0), count + 1}, retain.options()).scatter_add(1, words + 1, retain);
  const torch::Tensor tokens = torch::zeros_like(sums).scatter_add(1, words + 1, torch::ones_like(retain));
  return (sums / tokens.clamp_min(1)).narrow(1, 1, count);
}

std::vector<TlmSlot> bottom_slots(DualHead& m) {
  std::vector<TlmSlot> slots = embedding_slots(m.embeddings, m.body, m.body.prefix() + "embeddings.");
  append_layers(slots, m.bottom, m.settings.bottom_layers, m.body, m.body.prefix() + "encoder.layer.");
  return slots;
}

std::vector<TlmSlot> score_slots(DualHead& m) {
  std::vector<TlmSlot> slots;
  append_layers(slots, m.score_layers, m.settings.score_layers, m.body, "score.layer.");
  append_affine_slots(slots, m.score, "score.classifier", 2, m.body.hidden_size);
  return slots;
}

std::vector<TlmSlot> decision_slots(DualHead& m) {
  std::vector<TlmSlot> slots = {
      {"decision.slo_embeddings.weight", &m.slo_embeddings, {m.slo.count(), m.body.embedding_size}}};
  append_layers(slots, m.decision_layers, m.settings.decision_layers, m.body, "decision.layer.");
  for (auto& slot : classifier_slots(m)) {
    if (slot.name.starts_with("decision.")) slots.push_back(std::move(slot));
  }
  return slots;
}

std::vector<TlmSlot> dual_head_slots(DualHead& m) {
  std::vector<TlmSlot> slots = bottom_slots(m);
  append(slots, score_slots(m));
  append(slots, decision_slots(m));
  return slots;
}

}  // namespace elastify
