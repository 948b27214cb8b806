// The margin ranking loss: by hand, by finite differences, and that a head trained with it learns an order.
#include "tlm/ranking_loss.h"

#include <limits>

#include "support.h"
#include "tlm/train.h"

using namespace elastify;
using namespace elastify_test;

namespace {

torch::Tensor doubles(const std::vector<double>& values, std::int64_t rows) {
  return torch::tensor(values, torch::kFloat64).view({rows, -1});
}

// d loss / d values, by central differences.
torch::Tensor numeric_gradient(const torch::Tensor& values, const std::function<double(const torch::Tensor&)>& loss) {
  constexpr double kStep = 1e-6;
  const torch::Tensor gradient = torch::zeros_like(values);
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const torch::Tensor up = values.clone(), down = values.clone();
    up.view(-1)[i] += kStep;
    down.view(-1)[i] -= kStep;
    gradient.view(-1)[i] = (loss(up) - loss(down)) / (2 * kStep);
  }
  return gradient;
}

}  // namespace

TEST_CASE("a ranking loss counts pairs of one row that are short of the margin, as worked by hand", "[tlm][unit]") {
  const torch::Tensor scores = doubles({0.5, 0.4, 0.9, 0.1, 0.2, 0.0}, 2), rises = doubles({1, 0, 0.5, 0, 3, 9}, 2);
  const torch::Tensor present = torch::tensor(std::vector<std::int64_t>{1, 1, 1, 1, 1, 0}).view({2, 3}) == 1;
  // First row: (0 before 1) 0.2 - 0.1, (0 before 2) 0.2 + 0.4, (2 before 1) none. Second row: (1 before 0) 0.2 - 0.1.
  CHECK(pair_margin_loss(scores, rises, present, 0.2, 0.1).item<double>() == Approx((0.1 + 0.6 + 0 + 0.1) / 4));
  // A gap of 0.6 leaves (0 before 1) and (1 before 0).
  CHECK(pair_margin_loss(scores, rises, present, 0.2, 0.6).item<double>() == Approx((0.1 + 0.1) / 2));
  CHECK(pair_margin_loss(scores, torch::ones_like(rises), present, 0.2, 0).item<double>() == 0);  // equal: no pair
  CHECK(pair_margin_loss(scores, rises, torch::zeros_like(present), 0.2, 0).item<double>() == 0);
}

TEST_CASE("the ranking loss has the gradient of its finite differences", "[tlm][unit]") {
  torch::manual_seed(3);
  const torch::Tensor rises = torch::rand({3, 5}, torch::kFloat64), present = torch::rand({3, 5}) < 0.8;
  const torch::Tensor scores = torch::rand({3, 5}, torch::kFloat64).requires_grad_(true);
  pair_margin_loss(scores, rises, present, 0.3, 0.1).backward();
  const torch::Tensor expected = numeric_gradient(scores.detach(), [&](const torch::Tensor& changed) {
    return pair_margin_loss(changed, rises, present, 0.3, 0.1).item<double>();
  });
  CHECK(scores.grad().abs().max().item<double>() > 0.01);
  CHECK(torch::allclose(scores.grad(), expected, 1e-6, 1e-8));  // float64; the loss is linear between its kinks

  // Through words and sentences: two rows of different length, words of two tokens, one word of no sentence.
  const LabelledRow first{{}, {}, {0, 0, 1, -1}, {0.5f, 0.1f}}, second{{}, {}, {1, 0}, {0.9f, 0.2f}};
  const torch::Tensor words = torch::tensor(std::vector<std::int64_t>{-1, 0, 0, 1, 2, 2, 3, -1,  //
                                                                      -1, 0, 1, 1, -1, -1, -1, -1})
                                  .view({2, 8});
  const torch::Tensor logits = torch::randn({2, 8, 2}, torch::kFloat64).requires_grad_(true);
  const RankingConfig config{.weight = 1, .margin = 0.9, .min_gap = 0.05};
  const auto loss = [&](const torch::Tensor& changed) {
    return sentence_ranking_loss(changed, words, {&first, &second}, config);
  };
  loss(logits).backward();
  CHECK(logits.grad().abs().max().item<double>() > 0.01);
  CHECK(logits.grad()[0][6].abs().max().item<double>() == 0);
  CHECK(torch::allclose(
      logits.grad(),
      numeric_gradient(logits.detach(), [&](const auto& changed) { return loss(changed).template item<double>(); }),
      1e-5, 1e-7));  // float64; softmax is curved
}

TEST_CASE("sentences count by their best word, those outside the row and rows without any not at all", "[tlm][unit]") {
  const auto logits_of = [](const std::vector<double>& keep) {
    std::vector<double> all;
    for (const double p : keep) all.insert(all.end(), {0.0, std::log(p / (1 - p))});
    return torch::tensor(all, torch::kFloat64).view({1, -1, 2});
  };
  const torch::Tensor logits = logits_of({0.5, 0.3, 0.6, 0.4}),
                      words = torch::tensor(std::vector<std::int64_t>{-1, 0, 1, 2}).view({1, 4});
  const RankingConfig config{.weight = 1, .margin = 0.5, .min_gap = 0.05};
  const LabelledRow row{{}, {}, {0, 0, 1, 2}, {0.0f, 1.0f, 9.0f}};  // the third sentence is in another row
  CHECK(sentence_ranking_loss(logits, words, {&row}, config).item<double>() == Approx(0.5 - (0.4 - 0.6)));
  const LabelledRow none;
  CHECK(sentence_ranking_loss(logits, words, {&none}, config).item<double>() == 0);
}

TEST_CASE("a score-head trained on ranked sentences puts them in that order", "[tlm][unit][slow]") {
  TlmConfig config = tiny_tlm_config(2);
  config.embedding_size = 16;
  config.hidden_size = config.intermediate_size = 32;
  config.bottleneck_size = 16;
  TlmBody body = random_tlm_body(config, 3);
  body.embeddings.word *= 25;  // louder than the positions, as a pre-trained body's
  DualHead model = make_dual_head(body, tiny_heads(), 7);
  // Eight words a row in two sentences; the one that holds word 30 is worth more.
  std::mt19937_64 random(5);
  const auto draw = [&](std::vector<TlmRow>& rows, std::vector<LabelledRow>& labels, std::size_t count) {
    rows.clear();
    labels.clear();
    for (std::size_t r = 0; r < count; ++r) {
      TlmRow row{{2}, {-1}};
      const std::size_t at = random() % 8;
      for (std::int64_t w = 0; w < 8; ++w) {
        row.tokens.push_back(static_cast<std::size_t>(w) == at ? 30 : static_cast<std::int64_t>(5 + random() % 20));
        row.words.push_back(w);
      }
      rows.push_back(row);
      labels.push_back({row, {}, {0, 0, 0, 0, 1, 1, 1, 1}, {at < 4 ? 1.0f : 0.0f, at < 4 ? 0.0f : 1.0f}});
    }
  };
  const RankingConfig ranking;
  std::vector<TlmRow> rows;
  std::vector<LabelledRow> labels;
  const auto loss = [&](std::size_t count, const TlmForward& options) {
    draw(rows, labels, count);
    std::vector<const LabelledRow*> of;
    for (const auto& label : labels) of.push_back(&label);
    const TlmBatch batch = make_batch(rows, 0, torch::kCPU);
    const torch::Tensor logits = score_logits(model, shared_states(model, batch, options), batch.mask, options);
    return sentence_ranking_loss(logits, batch.words, of, ranking);
  };
  TlmTrainConfig settings;
  settings.steps = 300;
  settings.learning_rate = 5e-3;
  settings.weight_decay = 0;
  const auto measured = [&] {
    torch::NoGradGuard no_grad;
    return loss(256, {}).item<double>();
  };
  CHECK(measured() > 0.15);  // 0.2 where the order is a guess
  train_slots("ranking", score_slots(model), settings, [&](std::int64_t) { return loss(16, {.training = true}); });
  CHECK(measured() < 0.02);
}
