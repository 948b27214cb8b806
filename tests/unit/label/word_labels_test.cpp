// Induced word labels, by a model whose loss is written down.
#include "label/word_labels.h"
#include "tlm/word_pieces.h"
#include "unit/label/support.h"
#include "unit/runtime/tiny_tokenizer.h"

using namespace elastify;
using namespace elastify_test;

namespace {

// The answer costs 1 nat a token, and 2 more for every decisive text that is missing.
class ScriptedModel : public TaskModel {
 public:
  ScriptedModel(const elrt::Tokenizer& tokenizer, std::vector<std::string> decisive)
      : tokenizer_(tokenizer), decisive_(std::move(decisive)) {}
  std::vector<double> losses(std::span<const std::int32_t> ids, std::size_t from) override {
    ++passes;
    const std::string text = tokenizer_.decode(ids);
    double loss = 1;
    for (const auto& part : decisive_) loss += text.find(part) == std::string::npos ? 2 : 0;
    return std::vector<double>(ids.size() - from, loss);
  }
  std::string answer(std::span<const std::int32_t>, std::size_t) override { return ""; }
  int passes = 0;

 private:
  const elrt::Tokenizer& tokenizer_;
  std::vector<std::string> decisive_;
};

TaskItem make_task() {
  TaskItem task;
  task.context = "Some words. Maya brings the cake. More of them.\n- Other line here.";
  task.question = "Who brings it?";
  task.options = {"She", "Leo"};  // the answer must not hold what is decisive
  return task;
}

elrt::WordPiece vocabulary() {
  return std::move(elrt::WordPiece::create(learn_word_pieces({task_prompt(make_task())}, 200))).value();
}

std::string word_at(const WordedPrompt& prompt, std::size_t w) {
  return prompt.text.substr(prompt.pieces.words[w].begin, prompt.pieces.words[w].end - prompt.pieces.words[w].begin);
}

}  // namespace

TEST_CASE("words go one by one, bullets stay with their line, and the question always stays", "[label][unit]") {
  const WordedPrompt prompt = word_prompt(make_task(), vocabulary());
  const auto free = free_words(prompt);
  std::vector<bool> removed(free.size(), false);
  for (std::size_t w = 0; w < free.size(); ++w) removed[w] = free[w] && word_at(prompt, w) != "cake.";
  CHECK(without_words(prompt, std::vector<bool>(free.size(), false)) == prompt.text);
  CHECK(without_words(prompt, removed).find("cake.") != std::string::npos);
  CHECK(without_words(prompt, free).find("Who brings it?\nA:") != std::string::npos);
  CHECK(without_words(prompt, free).find("Maya") == std::string::npos);
}

TEST_CASE("stretches end with sentences, lines and the limit", "[label][unit]") {
  const WordedPrompt prompt = word_prompt(make_task(), vocabulary());
  const auto whole = word_stretches(prompt, 20);
  REQUIRE(whole.size() == 4);
  CHECK(word_at(prompt, whole[1].begin) == "Maya");
  CHECK(word_at(prompt, whole[1].end - 1) == "cake.");
  CHECK(word_at(prompt, whole[3].begin) == "Other");
  for (const auto& range : word_stretches(prompt, 2)) CHECK(range.end - range.begin <= 2);
}

TEST_CASE("words whose removal raises the loss of the right answer are retained, the rest is not", "[label][unit]") {
  const TemporaryFile file(tiny_artifact_with_tokenizer().build());
  const elrt::Artifact artifact = std::move(elrt::Artifact::open(file.path())).value();
  const auto tokenizer = artifact.tokenizer().value();
  ScriptedModel model(*tokenizer, {"Maya", "cake"});
  const WordedPrompt prompt = word_prompt(make_task(), vocabulary());
  const WordLabelConfig config{.chunk_words = 20, .open_chunks = 1, .min_rise = 1.5};
  const auto importance = word_importance(model, *tokenizer, make_task(), prompt, config, 4096);
  // The stretch "Maya brings the cake." raises the loss by 4, its two words by 2 each.
  CHECK(model.passes == 1 + 4 + 4);
  const auto labels = retain_labels(prompt, importance, config.min_rise);
  for (std::size_t w = 0; w < labels.size(); ++w) {
    const std::string word = word_at(prompt, w);
    const double expected = word == "Maya" || word == "cake." ? 3 : w >= 2 && w <= 5 ? 1 : 0;
    INFO(word);
    CHECK(importance[w] == Approx(expected));
    if (labels[w] >= 0) CHECK(labels[w] == (expected == 3 ? 1 : 0));
  }
  CHECK(labels.back() < 0);
  CHECK(word_importance(model, *tokenizer, make_task(), prompt, config, 8).empty());  // exceeds the context
}
