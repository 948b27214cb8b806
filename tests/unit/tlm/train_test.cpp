// The training loop and the losses of the heads, on problems small enough to be solved.
#include <limits>
#include <map>
#include <random>

#include "model/decoder.h"
#include "support.h"
#include "support/temp_dir.h"
#include "tlm/masked_words.h"
#include "tlm/train.h"

using namespace elastify;
using namespace elastify_test;

namespace {

TlmTrainConfig quick(std::int64_t steps) {
  TlmTrainConfig config;
  config.steps = steps;
  config.learning_rate = 5e-3;
  config.weight_decay = 0;
  config.log_every = steps;
  return config;
}

std::map<std::string, torch::Tensor> copies(const std::vector<TlmSlot>& slots) {
  std::map<std::string, torch::Tensor> all;
  for (const auto& slot : slots) all[slot.name] = slot.tensor->detach().clone();
  return all;
}

// How many of the slots differ from `before`.
std::size_t changed(const std::vector<TlmSlot>& slots, const std::map<std::string, torch::Tensor>& before) {
  std::size_t count = 0;
  for (const auto& slot : slots) count += torch::equal(*slot.tensor, before.at(slot.name)) ? 0 : 1;
  return count;
}

// The bottom passes words on, as a pre-trained one does: they are louder than the positions.
DualHead learning_model(TlmBodyKind kind = TlmBodyKind::kMobileBert) {
  const bool bert = kind == TlmBodyKind::kBert;
  TlmConfig config = bert ? tiny_bert_config(2) : tiny_tlm_config(2);
  config.embedding_size = config.bottleneck_size = bert ? 32 : 16;
  config.hidden_size = config.intermediate_size = 32;
  TlmBody body = random_tlm_body(config, 3);
  body.embeddings.word *= 25;
  return make_dual_head(body, tiny_heads(), 7);
}

// A toy: [CLS] [TTFT] <TPOT> and five words. Model class: 2 where word 30 is present, else 0. Prompt class: 1 where
// TTFT is 100.
struct Toy {
  TlmBatch batch;
  torch::Tensor model_class, prompt_class;
};
Toy make_toy(const DualHead& model, std::int64_t rows, std::uint64_t seed) {
  torch::manual_seed(seed);
  std::vector<TlmRow> all;
  std::vector<std::int64_t> model_class, prompt_class;
  for (std::int64_t r = 0; r < rows; ++r) {
    const torch::Tensor draws = torch::randint(0, 1000, {8}, torch::kInt64);
    const auto draw = [&](std::int64_t i) { return draws[i].item<std::int64_t>(); };
    const bool present = draw(0) % 2 == 0, relaxed = draw(1) % 2 == 0;
    const SloIds slo = model.slo.ids(relaxed ? 1.0 : 0.2, 1.0);
    TlmRow row{{2, slo.ttft, slo.tpot}, {-1, -1, -1}};
    for (std::int64_t i = 0; i < 5; ++i) {
      row.tokens.push_back(5 + draw(3 + i) % 20);
      row.words.push_back(i);
    }
    if (present) row.tokens[static_cast<std::size_t>(3 + draw(2) % 5)] = 30;
    all.push_back(row);
    model_class.push_back(present ? 2 : 0);
    prompt_class.push_back(relaxed ? 1 : 0);
  }
  return {make_batch(all, 0, torch::kCPU), torch::tensor(model_class), torch::tensor(prompt_class)};
}

double accuracy(const torch::Tensor& logits, const torch::Tensor& classes) {
  return (logits.argmax(1) == classes).to(torch::kFloat64).mean().item<double>();
}

DecisionLogits decide(const DualHead& model, const TlmBatch& batch) {
  torch::NoGradGuard no_grad;
  return decision_logits(model, shared_states(model, batch), batch.mask);
}

}  // namespace

TEST_CASE("the decision-head learns a separable toy, SLO and prompt, on rows it has not seen", "[tlm][unit][slow]") {
  DualHead model = learning_model(GENERATE(TlmBodyKind::kMobileBert, TlmBodyKind::kBert));
  const auto bottom = copies(bottom_slots(model)), score = copies(score_slots(model));
  train_slots("toy", decision_slots(model), quick(600), [&](std::int64_t step) {
    const Toy toy = make_toy(model, 32, 100 + static_cast<std::uint64_t>(step));
    return decision_loss(model, toy.batch, toy.model_class, toy.prompt_class, {.training = true});
  });
  const Toy test = make_toy(model, 256, 1);
  const DecisionLogits found = decide(model, test.batch);
  CHECK(accuracy(found.model_level, test.model_class) == 1.0);
  CHECK(accuracy(found.prompt_level, test.prompt_class) == 1.0);
  // Everything shared stayed as it was, and nothing wants gradients any more.
  CHECK(changed(bottom_slots(model), bottom) == 0);
  CHECK(changed(score_slots(model), score) == 0);
  for (const auto& slot : dual_head_slots(model)) CHECK_FALSE(slot.tensor->requires_grad());
}

TEST_CASE("shuffled labels leave the decision-head at the prior", "[tlm][unit][slow]") {
  DualHead model = learning_model(GENERATE(TlmBodyKind::kMobileBert, TlmBodyKind::kBert));
  torch::Tensor order;
  train_slots("shuffled", decision_slots(model), quick(300), [&](std::int64_t step) {
    const Toy toy = make_toy(model, 32, 100 + static_cast<std::uint64_t>(step));
    torch::manual_seed(9000 + static_cast<std::uint64_t>(step));
    order = torch::randperm(32, torch::kInt64);
    return decision_loss(model, toy.batch, toy.model_class.index_select(0, order),
                         toy.prompt_class.index_select(0, order), {});
  });
  const Toy test = make_toy(model, 512, 1);
  const DecisionLogits found = decide(model, test.batch);
  CHECK(accuracy(found.model_level, test.model_class) == Approx(0.5).margin(0.1));
  // Both classes are equally likely, whatever the row; the third, never seen, is not.
  const torch::Tensor shares = torch::softmax(found.model_level, 1);
  CHECK(shares.select(1, 0).mean().item<double>() == Approx(0.5).margin(0.1));
  CHECK(shares.select(1, 0).std().item<double>() < 0.1);
  CHECK(shares.select(1, 1).max().item<double>() < 0.05);
}

TEST_CASE("the score-head learns which words stay, and leaves the rest alone", "[tlm][unit][slow]") {
  DualHead model = learning_model(GENERATE(TlmBodyKind::kMobileBert, TlmBodyKind::kBert));
  const auto bottom = copies(bottom_slots(model)), decision = copies(decision_slots(model));
  // Words below 20 are to go, others to stay; every third word has no label.
  const auto labels_of = [](const TlmBatch& batch) {
    const torch::Tensor words = batch.tokens.narrow(1, 1, 8);
    torch::Tensor labels = (words >= 20).to(torch::kInt64);
    for (std::int64_t w = 0; w < 8; w += 3) labels.select(1, w).fill_(kIgnore);
    return labels;
  };
  const TlmTrainResult result = train_slots("score", score_slots(model), quick(700), [&](std::int64_t step) {
    const TlmBatch batch =
        random_batch(std::vector<std::int64_t>(16, 9), model.body.vocab_size, 50 + static_cast<std::uint64_t>(step));
    return score_loss(model, batch, labels_of(batch), {.training = true});
  });
  CHECK(result.losses.size() == 1);
  torch::NoGradGuard no_grad;
  const TlmBatch test = random_batch(std::vector<std::int64_t>(64, 9), model.body.vocab_size, 1);
  const torch::Tensor keep =
      word_keep_probability(score_logits(model, shared_states(model, test), test.mask), test.words, 8);
  CHECK(((keep > 0.5) == (test.tokens.narrow(1, 1, 8) >= 20)).to(torch::kFloat64).mean().item<double>() > 0.95);
  CHECK(changed(bottom_slots(model), bottom) == 0);
  CHECK(changed(decision_slots(model), decision) == 0);
}

TEST_CASE("a score loss counts the tokens of labelled words only", "[tlm][unit]") {
  const DualHead model = learning_model();
  const TlmBatch batch = random_batch({7, 5}, model.body.vocab_size, 5, true);  // words of two tokens: 3 and 2 words
  const torch::Tensor labels =
      torch::tensor(std::vector<std::int64_t>{1, kIgnore, 0, 0, kIgnore, kIgnore}).view({2, 3});
  const torch::Tensor logs = torch::log_softmax(score_logits(model, shared_states(model, batch), batch.mask), -1);
  const double expected =
      -(logs[0][1][1] + logs[0][2][1] + logs[0][5][0] + logs[0][6][0] + logs[1][1][0] + logs[1][2][0]).item<double>() /
      6;
  CHECK(score_loss(model, batch, labels, {}).item<double>() == Approx(expected).epsilon(1e-5));
  CHECK(score_loss(model, batch, torch::full_like(labels, kIgnore), {}).item<double>() == 0);
}

TEST_CASE("a body learns hidden words, and trains jointly with a head where its slots are given", "[tlm][unit][slow]") {
  const TlmConfig config = GENERATE(from_range(tiny_configs(2)));
  TlmBody body = random_tlm_body(config, 3);
  MaskedWordHead head = random_masked_word_head(config, 3, false);
  auto slots = body_slots(body, config.prefix());
  for (auto& slot : masked_word_slots(head, config, "cls.predictions.", false)) slots.push_back(slot);
  TlmTrainConfig settings = quick(400);
  settings.log_every = 100;
  // Every row repeats one word, so a hidden one is plain from its neighbours.
  const TlmTrainResult result = train_slots("body", slots, settings, [&](std::int64_t step) {
    TlmBatch batch =
        random_batch(std::vector<std::int64_t>(16, 9), config.vocab_size, 50 + static_cast<std::uint64_t>(step));
    batch.tokens.narrow(1, 1, 8).copy_(batch.tokens.narrow(1, 1, 1).expand({16, 8}).clone());
    const MaskedBatch masked = hide_words(batch, 0.3, 4, config.vocab_size, static_cast<std::uint64_t>(step));
    return masked_word_loss(head, config, body.embeddings.word, tlm_hidden(body, masked.batch), masked.targets);
  });
  CHECK(result.losses.size() == 4);
  CHECK(result.losses.front() > 2.0);  // ln 40 is 3.7
  CHECK(result.losses.back() < 0.5);

  DualHead model = make_dual_head(body, tiny_heads(), 7);
  auto joint = bottom_slots(model);
  for (auto& slot : score_slots(model)) joint.push_back(slot);
  const auto before = copies(joint);
  train_slots("joint", joint, quick(3), [&](std::int64_t) {
    const TlmBatch batch = random_batch({9, 9}, config.vocab_size, 5);
    return score_loss(model, batch, (batch.tokens.narrow(1, 1, 8) >= 20).to(torch::kInt64), {});
  });
  CHECK(changed(joint, before) >
        joint.size() - 4);  // some tensors have no gradient: a key's bias, the first word's type
}

TEST_CASE("training that was stopped goes on as if it had not been", "[tlm][unit]") {
  const TempDir dir;
  const auto train = [&](DualHead& model, std::int64_t stop, const TlmProgressFile& kept) {
    TlmTrainConfig settings = quick(12);
    settings.log_every = 4;
    Toy toy;
    std::mt19937_64 random(5);  // as a sampler: a step's batch depends on the draws before it
    const auto draw = [&](std::int64_t) { toy = make_toy(model, 8, random()); };
    const auto loss = [&](std::int64_t step) {
      if (step == stop) fail_usage("stopped");
      return decision_loss(model, toy.batch, toy.model_class, toy.prompt_class, {.training = true});
    };
    return train_slots("toy", decision_slots(model), settings, {draw, loss}, kept);
  };
  const TlmBodyKind kind = GENERATE(TlmBodyKind::kMobileBert, TlmBodyKind::kBert);
  DualHead whole = learning_model(kind), stopped = learning_model(kind);
  const TlmTrainResult expected = train(whole, -1, {});
  const TlmProgressFile kept{dir.path() / "toy.safetensors", std::chrono::seconds(0)};
  expect_error(ErrorCode::kUsage, {"stopped"}, [&] { train(stopped, 9, kept); });  // of which step 8 is written
  DualHead model = learning_model(kind);
  const TlmTrainResult found = train(model, -1, kept);
  CHECK(found.losses == expected.losses);
  for (std::size_t i = 0; i < decision_slots(model).size(); ++i)
    CHECK(torch::equal(*decision_slots(model)[i].tensor, *decision_slots(whole)[i].tensor));

  write_file(kept.path, read_file(kept.path).substr(0, 200));
  expect_error(ErrorCode::kBadData, {"toy.safetensors"}, [&] { train(model, -1, kept); });
}

TEST_CASE("training stops at a loss that is not finite, naming the step", "[tlm][unit]") {
  DualHead model = learning_model();
  const auto before = copies(decision_slots(model));
  expect_error(ErrorCode::kInternal, {"bad", "step 0", "not finite"}, [&] {
    train_slots("bad", decision_slots(model), quick(5), [&](std::int64_t) {
      return (model.model_level.weight * std::numeric_limits<double>::infinity()).sum();
    });
  });
  CHECK(changed(decision_slots(model), before) == 0);
}
