#include "tlm/prompt_scorer.h"

#include "support.h"
#include "tlm/score_training.h"
#include "tlm/word_pieces.h"

using namespace elastify;
using namespace elastify_test;

namespace {

const std::string kText = "Maya brings the cake to room four and Leo sits there with Noor until noon";

Tlm make_tlm() {
  const auto vocabulary = learn_word_pieces({kText}, 60);
  TlmConfig config = tiny_tlm_config();
  config.vocab_size = static_cast<std::int64_t>(vocabulary.size());
  config.max_positions = 64;
  return {make_dual_head(random_tlm_body(config, 3), tiny_heads(), 7),
          std::move(elrt::WordPiece::create(vocabulary)).value()};
}

}  // namespace

TEST_CASE("a short text's word scores are its tokens' means, alone or in a batch", "[tlm][unit]") {
  const Tlm tlm = make_tlm();
  const std::vector<elrt::WordPieces> texts = {
      encode_words(tlm.vocabulary, kText), encode_words(tlm.vocabulary, "Leo sits"), encode_words(tlm.vocabulary, " ")};
  const SloIds slo = tlm.model.slo.ids(1, 1);
  const auto scores = score_words(tlm.model, tlm.vocabulary, texts, slo, 2);
  REQUIRE(scores.size() == 3);
  CHECK(scores[2].empty());
  torch::NoGradGuard no_grad;
  for (std::size_t t = 0; t < 2; ++t) {
    const std::vector<TlmRow> rows = {make_row(tlm.vocabulary, texts[t].tokens, slo)};
    const TlmBatch batch = make_batch(rows, 0, torch::kCPU);
    const auto count = static_cast<std::int64_t>(texts[t].words.size());
    const torch::Tensor expected = word_keep_probability(
        score_logits(tlm.model, shared_states(tlm.model, batch), batch.mask), batch.words, count)[0];
    REQUIRE(scores[t].size() == texts[t].words.size());
    for (std::int64_t w = 0; w < count; ++w)
      CHECK(scores[t][static_cast<std::size_t>(w)] == Approx(expected[w].item<double>()).margin(1e-5));
  }
}

TEST_CASE("a text longer than every row gets a score for each word", "[tlm][unit]") {
  const Tlm tlm = make_tlm();
  std::string text;
  for (int i = 0; i < 20; ++i) text += kText + " ";
  const std::vector<elrt::WordPieces> texts = {encode_words(tlm.vocabulary, text)};
  const auto scores = score_words(tlm.model, tlm.vocabulary, texts, tlm.model.slo.ids(0.5, 0.5), 8);
  REQUIRE(scores[0].size() == texts[0].words.size());
  for (const float score : scores[0]) CHECK((score > 0 && score < 1));
}

TEST_CASE("the model's directory comes back, and a foreign vocabulary is refused", "[tlm][unit]") {
  const TempDir dir;
  Tlm tlm = make_tlm();
  std::vector<std::string> vocabulary;
  for (std::int32_t id = 0; id < tlm.vocabulary.vocab_size(); ++id) vocabulary.emplace_back(tlm.vocabulary.token(id));
  write_tlm(tlm.model, vocabulary_text(vocabulary), dir.path());
  const Tlm read = read_tlm(dir.path(), torch::kCPU);
  CHECK(torch::equal(read.model.score.weight, tlm.model.score.weight));
  vocabulary.emplace_back("more");
  write_bytes(dir / "vocab.txt", vocabulary_text(vocabulary));
  expect_error(ErrorCode::kBadData, {"vocab.txt"}, [&] { read_tlm(dir.path(), torch::kCPU); });
}

TEST_CASE("ranking accuracy is the chance that a word to retain stands above one to discard", "[tlm][unit]") {
  CHECK(ranking_accuracy({{0.9f, 0.1f, 0.5f}}, {{1, 0, 0}}) == 1);
  CHECK(ranking_accuracy({{0.5f, 0.1f, 0.5f}, {0.1f, 0.2f}}, {{1, 0, 0}, {1, 1}}) == Approx(0.75));
  CHECK(ranking_accuracy({{0.1f, 0.9f}}, {{1, 0}}) == 0);
}
