// Two heads over one bottom: what is shared, what is not, and what the SLO tokens do.
#include "support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

DualHead tiny_model(const TlmConfig& config = tiny_tlm_config()) {
  TlmBody body = copy_body(random_tlm_body(config, 3), torch::kCPU, torch::kFloat64);
  roughen_inplace(body_slots(body, ""), 4);
  return make_dual_head(body, tiny_heads(), 7);
}

// A batch whose rows have the SLO (0.5, 1.0) after [CLS].
TlmBatch slo_batch(const DualHead& model, double ttft = 0.5, double tpot = 1) {
  auto rows = random_rows({8, 5}, model.body.vocab_size, 5);
  const SloIds ids = model.slo.ids(ttft, tpot);
  for (auto& row : rows) {
    row.tokens.insert(row.tokens.begin() + 1, {ids.ttft, ids.tpot});
    row.words.insert(row.words.begin() + 1, {-1, -1});
  }
  return make_batch(rows, 0, torch::kCPU);
}

}  // namespace

TEST_CASE("before training both heads are the body", "[tlm][unit]") {
  const TlmConfig config = GENERATE(from_range(tiny_configs()));
  TlmBody body = copy_body(random_tlm_body(config, 3), torch::kCPU, torch::kFloat64);
  roughen_inplace(body_slots(body, ""), 4);
  const DualHead model = make_dual_head(body, tiny_heads(), 7);
  torch::NoGradGuard no_grad;
  const TlmBatch batch = random_batch({9, 6}, body.config.vocab_size, 5);  // no SLO token: the body knows none
  const torch::Tensor whole = tlm_hidden(body, batch), shared = shared_states(model, batch);
  CHECK(difference(score_logits(model, shared, batch.mask), tlm_affine(model.score, whole)) < 1e-12);
  const DecisionLogits decision = decision_logits(model, shared, batch.mask);
  CHECK(difference(decision.model_level, tlm_affine(model.model_level, whole.select(1, 0))) < 1e-12);
  CHECK(difference(decision.prompt_level, tlm_affine(model.prompt_level, whole.select(1, 0))) < 1e-12);
  CHECK(decision.model_level.sizes().vec() == std::vector<std::int64_t>{2, 3});
  CHECK(decision.prompt_level.sizes().vec() == std::vector<std::int64_t>{2, 2});
}

TEST_CASE("the layer counts of bottom and heads are settings", "[tlm][unit]") {
  const TlmBody body = random_tlm_body(tiny_tlm_config(5), 3);
  DualHead model = make_dual_head(body, tiny_heads(), 7);
  CHECK(model.settings.bottom_layers == 3);  // half, rounded up
  CHECK(model.score_layers.size() == 2);
  CHECK(model.decision_layers.size() == 2);
  DualHeadConfig settings = tiny_heads();
  settings.bottom_layers = 1;
  settings.score_layers = 3;
  model = make_dual_head(body, settings, 7);
  CHECK(model.bottom.size() == 1);
  CHECK(model.score_layers.size() == 3);
  CHECK(model.decision_layers.size() == 4);
  CHECK(model.body.num_layers == 5);
  CHECK(torch::equal(model.score_layers[0].query.weight, body.layers[1].query.weight));
  settings.bottom_layers = 5;
  expect_error(ErrorCode::kUsage, {"bottom_layers", "5"}, [&] { make_dual_head(body, settings, 7); });
  settings.bottom_layers = 3;
  expect_error(ErrorCode::kUsage, {"3 layers", "5"}, [&] { make_dual_head(body, settings, 7); });
  settings = tiny_heads();
  settings.prompt_levels = {100, 50};
  expect_error(ErrorCode::kUsage, {"prompt_levels", "rising"}, [&] { make_dual_head(body, settings, 7); });
}

TEST_CASE("a trained model under other levels scores as before and decides again", "[tlm][unit]") {
  const DualHead trained = tiny_model(GENERATE(from_range(tiny_configs())));
  DualHeadConfig settings = trained.settings;
  settings.model_levels = {10, 20, 30, 100};
  settings.prompt_levels = {25, 50, 75, 90, 100};
  const DualHead model = with_levels_of(trained, settings, 11);
  torch::NoGradGuard no_grad;
  const TlmBatch batch = slo_batch(model);
  const torch::Tensor shared = shared_states(model, batch);
  CHECK(torch::equal(shared, shared_states(trained, batch)));
  CHECK(torch::equal(score_logits(model, shared, batch.mask), score_logits(trained, shared, batch.mask)));
  const DecisionLogits decision = decision_logits(model, shared, batch.mask);
  CHECK(decision.model_level.sizes().vec() == std::vector<std::int64_t>{2, 4});
  CHECK(decision.prompt_level.sizes().vec() == std::vector<std::int64_t>{2, 5});
  CHECK(model.settings.prompt_levels == settings.prompt_levels);
  CHECK(trained.model_level.weight.size(0) == 3);  // the one that it came from keeps its own
  settings.score_layers = 1;
  expect_error(ErrorCode::kUsage, {"score_layers", "trained model"}, [&] { with_levels_of(trained, settings, 11); });
  settings = trained.settings;
  settings.ttft_levels.back() = 99;
  expect_error(ErrorCode::kUsage, {"ttft_levels", "99"}, [&] { with_levels_of(trained, settings, 11); });
  settings = trained.settings;
  settings.model_levels = {50, 20};
  expect_error(ErrorCode::kUsage, {"model_levels", "rising"}, [&] { with_levels_of(trained, settings, 11); });
}

TEST_CASE("a model shares no memory with the body, nor its heads with each other", "[tlm][unit]") {
  TlmBody body = random_tlm_body(tiny_tlm_config(), 3);
  DualHead model = make_dual_head(body, tiny_heads(), 7);
  const torch::Tensor before = model.decision_layers[0].query.weight.clone(), word = model.embeddings.word.clone();
  for (const auto& slot : body_slots(body, "")) slot.tensor->zero_();
  for (const auto& slot : score_slots(model)) slot.tensor->zero_();
  CHECK(torch::equal(model.decision_layers[0].query.weight, before));
  CHECK(torch::equal(model.embeddings.word, word));
}

TEST_CASE("the SLO embeddings of a model start orthogonal, as long as a word's", "[tlm][unit]") {
  const DualHead model = tiny_model(GENERATE(from_range(tiny_configs())));
  const torch::Tensor rows = model.slo_embeddings;
  const double length = model.embeddings.word.norm(2, 1).mean().item<double>();
  CHECK(difference(torch::matmul(rows, rows.t()), length * length * torch::eye(6, torch::kFloat64)) <
        1e-6 * length * length);
}

TEST_CASE("another SLO gives another decision", "[tlm][unit]") {
  const DualHead model = tiny_model(GENERATE(from_range(tiny_configs())));
  torch::NoGradGuard no_grad;
  const auto decide = [&](double ttft, double tpot) {
    const TlmBatch batch = slo_batch(model, ttft, tpot);
    return decision_logits(model, shared_states(model, batch), batch.mask).model_level;
  };
  CHECK(difference(decide(0.5, 1), decide(0.5, 1)) == 0);
  CHECK(difference(decide(0.5, 1), decide(0.55, 1)) == 0);  // the same tokens
  CHECK(difference(decide(0.5, 1), decide(0.8, 1)) > 1e-4);
  CHECK(difference(decide(0.5, 1), decide(0.5, 0.5)) > 1e-4);
}

TEST_CASE("SLO tokens read their own embeddings and no word's", "[tlm][unit]") {
  const DualHead model = tiny_model();
  const std::int64_t vocab = model.body.vocab_size;
  const torch::Tensor vectors =
      dual_head_words(model, torch::tensor(std::vector<std::int64_t>{vocab - 1, vocab, vocab + 5, 0}).unsqueeze(0))[0];
  CHECK(torch::equal(vectors[0], model.embeddings.word[vocab - 1]));
  CHECK(torch::equal(vectors[1], model.slo_embeddings[0]));
  CHECK(torch::equal(vectors[2], model.slo_embeddings[5]));
  CHECK(torch::equal(vectors[3], model.embeddings.word[0]));
}

TEST_CASE("both heads read one bottom: its change reaches both, a head's change reaches one", "[tlm][unit]") {
  DualHead model = tiny_model(GENERATE(from_range(tiny_configs())));
  const TlmBatch batch = slo_batch(model);
  torch::NoGradGuard no_grad;
  const auto run = [&] {
    const torch::Tensor shared = shared_states(model, batch);
    return std::pair{score_logits(model, shared, batch.mask), decision_logits(model, shared, batch.mask).prompt_level};
  };
  const auto [score, decision] = run();
  roughen_inplace(score_slots(model), 1);
  const auto [score_changed, decision_same] = run();
  CHECK(difference(score_changed, score) > 1e-3);
  CHECK(torch::equal(decision_same, decision));
  roughen_inplace(bottom_slots(model), 2);
  const auto [score_moved, decision_moved] = run();
  CHECK(difference(score_moved, score_changed) > 1e-3);
  CHECK(difference(decision_moved, decision) > 1e-3);
}

TEST_CASE("padding does not change what the heads say", "[tlm][unit]") {
  const DualHead model = tiny_model(GENERATE(from_range(tiny_configs())));
  torch::NoGradGuard no_grad;
  const TlmBatch together = slo_batch(model);
  const TlmBatch alone = {
      together.tokens.narrow(0, 1, 1).narrow(1, 0, 7), together.mask.narrow(0, 1, 1).narrow(1, 0, 7), {}};
  const torch::Tensor shared = shared_states(model, together), shared_alone = shared_states(model, alone);
  CHECK(difference(score_logits(model, shared, together.mask)[1].narrow(0, 0, 7),
                   score_logits(model, shared_alone, alone.mask)[0]) < 1e-12);
  CHECK(difference(decision_logits(model, shared, together.mask).model_level[1],
                   decision_logits(model, shared_alone, alone.mask).model_level[0]) < 1e-12);
}

TEST_CASE("a word's keep probability is the mean over its tokens", "[tlm][unit]") {
  // softmax(0, x)[1] = 1 / (1 + e^-x): ln 3 gives 3/4, 0 gives 1/2, -ln 3 gives 1/4.
  const double ln3 = std::log(3.0);
  const torch::Tensor retain = torch::tensor(std::vector<double>{9, ln3, 0, -ln3, 9, 9}, torch::kFloat64).view({1, 6});
  const torch::Tensor logits = torch::stack({torch::zeros_like(retain), retain}, -1);
  const torch::Tensor words = torch::tensor(std::vector<std::int64_t>{-1, 0, 0, 2, -1, -1}).view({1, 6});
  const torch::Tensor keep = word_keep_probability(logits, words, 4);
  const torch::Tensor expected = torch::tensor(std::vector<double>{0.625, 0, 0.25, 0}, torch::kFloat64).view({1, 4});
  CHECK(difference(keep, expected) < 1e-12);
}
