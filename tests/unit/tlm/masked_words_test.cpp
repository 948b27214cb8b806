// Masked-word prediction: which tokens are hidden, and what the loss counts.
#include "tlm/masked_words.h"
#include "model/decoder.h"
#include "support.h"

using namespace elastify;
using namespace elastify_test;

TEST_CASE("words are hidden whole, at the asked share, 80 to 10 to 10", "[tlm][unit]") {
  constexpr std::int64_t kMask = 4, kVocab = 1000;
  const TlmBatch batch = random_batch(std::vector<std::int64_t>(40, 201), kVocab, 5, true);
  const MaskedBatch masked = hide_words(batch, 0.15, kMask, kVocab, 9);
  const torch::Tensor hidden = masked.targets != kIgnore;
  // The two tokens of a word share one fate.
  const torch::Tensor pairs = hidden.narrow(1, 1, 200).reshape({40, 100, 2});
  CHECK(torch::equal(pairs.select(2, 0), pairs.select(2, 1)));
  CHECK_FALSE(hidden.select(1, 0).any().item<bool>());  // [CLS] is no word
  CHECK(torch::equal(masked.targets.masked_select(hidden), batch.tokens.masked_select(hidden)));
  CHECK(torch::equal(masked.batch.tokens.masked_select(hidden.logical_not()),
                     batch.tokens.masked_select(hidden.logical_not())));
  // 4000 words, 8000 tokens: three standard deviations are 0.017 of the share, 0.035 of the fates.
  const double count = hidden.sum().item<double>();
  CHECK(count / 8000 == Approx(0.15).margin(0.017));
  const torch::Tensor now = masked.batch.tokens.masked_select(hidden), was = batch.tokens.masked_select(hidden);
  CHECK((now == kMask).sum().item<double>() / count == Approx(0.8).margin(0.035));
  CHECK((now == was).sum().item<double>() / count == Approx(0.1).margin(0.03));
  CHECK(torch::equal(hide_words(batch, 0.15, kMask, kVocab, 9).batch.tokens, masked.batch.tokens));
  CHECK_FALSE(torch::equal(hide_words(batch, 0.15, kMask, kVocab, 10).batch.tokens, masked.batch.tokens));
  CHECK_FALSE((hide_words(batch, 0, kMask, kVocab, 9).targets != kIgnore).any().item<bool>());
}

TEST_CASE("a masked-word loss is the mean over the hidden tokens", "[tlm][unit]") {
  const TlmConfig config = tiny_tlm_config();
  const TlmBody body = copy_body(random_tlm_body(config, 3), torch::kCPU, torch::kFloat64);
  MaskedWordHead head = random_masked_word_head(config, 3, true);
  for (const auto& slot : masked_word_slots(head, config, "", true)) *slot.tensor = slot.tensor->to(torch::kFloat64);
  const TlmBatch batch = random_batch({9, 6}, config.vocab_size, 5);
  const torch::Tensor hidden = tlm_hidden(body, batch);
  const torch::Tensor targets = torch::full_like(batch.tokens, kIgnore);
  targets[0][2] = 11;
  targets[1][5] = 3;
  const torch::Tensor logits = masked_word_logits(head, config, body.embeddings.word, hidden);
  CHECK(logits.sizes().vec() == std::vector<std::int64_t>{2, 9, config.vocab_size});
  const double expected =
      -(torch::log_softmax(logits[0][2], 0)[11] + torch::log_softmax(logits[1][5], 0)[3]).item<double>() / 2;
  CHECK(masked_word_loss(head, config, body.embeddings.word, hidden, targets).item<double>() ==
        Approx(expected).epsilon(1e-12));
  CHECK(
      masked_word_loss(head, config, body.embeddings.word, hidden, torch::full_like(targets, kIgnore)).item<double>() ==
      0);
}
