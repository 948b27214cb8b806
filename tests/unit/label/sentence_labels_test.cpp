// Sentences by what leaving them out costs, against a brute force of its own; and the questions that they come from.
#include "label/sentence_labels.h"

#include <numeric>

#include "label/question_pairs.h"
#include "label/task_sets.h"
#include "support/temp_dir.h"
#include "tlm/word_pieces.h"
#include "unit/label/support.h"
#include "unit/runtime/tiny_tokenizer.h"

using namespace elastify;
using namespace elastify_test;

namespace {

const std::vector<std::string> kSentences = {"ab cab a.", "ba ca!", "- cc ab b.", "a (b c ab)."};

TaskItem sentence_task() {
  TaskItem task;
  task.context = kSentences[0] + " " + kSentences[1] + "\n" + kSentences[2] + " " + kSentences[3];
  task.question = "ab c?";
  task.options = {"b", "cab"};
  task.answer = 1;
  return task;
}

elrt::WordPiece sentence_vocabulary() {
  return std::move(elrt::WordPiece::create(learn_word_pieces({task_prompt(sentence_task())}, 200))).value();
}

// The mean loss of " cab" after `text`, every token by a forward pass of its own from nothing.
double brute_loss(const elrt::Artifact& artifact, const elrt::Tokenizer& tokenizer, const std::string& text) {
  const auto prompt = tokenizer.encode(text).value(), all = tokenizer.encode(text + " cab").value();
  std::vector<std::int32_t> ids = all;
  if (tokenizer.bos_id() >= 0 && (ids.empty() || ids[0] != tokenizer.bos_id()))
    ids.insert(ids.begin(), tokenizer.bos_id());
  const std::size_t from = ids.size() - (all.size() - prompt.size());
  double sum = 0;
  for (std::size_t i = from; i < ids.size(); ++i) {
    elrt::SessionOptions options;
    options.threads = 1;
    auto session = std::move(elrt::Session::create(artifact, options)).value();
    const auto logits = session.forward(std::span(ids).first(i)).value();
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit));
    sum += std::log(total) - logits[static_cast<std::size_t>(ids[i])];
  }
  return sum / static_cast<double>(ids.size() - from);
}

}  // namespace

TEST_CASE("a sentence's label is what leaving it out costs the answer, as by brute force", "[label][unit]") {
  const TemporaryFile file(tiny_artifact_with_tokenizer().build());
  const elrt::Artifact artifact = std::move(elrt::Artifact::open(file.path())).value();
  const auto tokenizer = artifact.tokenizer().value();
  elrt::SessionOptions options;
  options.threads = 1;
  SessionTaskModel model(std::move(elrt::Session::create(artifact, options)).value(), *tokenizer);
  const WordedPrompt prompt = word_prompt(sentence_task(), sentence_vocabulary());
  const auto rises = sentence_rises(model, *tokenizer, sentence_task(), prompt, artifact.shape().context);
  REQUIRE(rises.size() == 4);
  const std::string tail = "\nab c?\nA:";
  const double whole = brute_loss(artifact, *tokenizer, "ab cab a. ba ca!\n- cc ab b. a (b c ab)." + tail);
  const std::vector<std::string> without = {"ba ca!\n- cc ab b. a (b c ab).", "ab cab a.\n- cc ab b. a (b c ab).",
                                            "ab cab a. ba ca!\n- a (b c ab).", "ab cab a. ba ca!\n- cc ab b."};
  double largest = 0;
  for (std::size_t s = 0; s < 4; ++s) {
    const double expected = brute_loss(artifact, *tokenizer, without[s] + tail) - whole;
    CHECK(rises[s].rise == Approx(expected).margin(1e-4));  // float32 logits
    largest = std::max(largest, std::abs(expected));
  }
  CHECK(largest > 1e-2);
  CHECK(sentence_rises(model, *tokenizer, sentence_task(), prompt, 8).empty());  // exceeds the context
}

TEST_CASE("rows of questions rank sentences and label no word", "[label][unit]") {
  const TemporaryFile file(tiny_artifact_with_tokenizer().build());
  const auto vocabulary = sentence_vocabulary();
  TlmStageConfig config;
  config.model.size.max_positions = 24;  // two rows
  const auto rows = question_rows({sentence_task(), sentence_task()}, vocabulary, file.path(), config, {1, 2}, 1);
  REQUIRE(rows.size() > 2);
  const WordedPrompt prompt = word_prompt(sentence_task(), vocabulary);
  for (const auto& row : rows) {
    CHECK(row.labels.empty());
    CHECK(row.rises.size() == 4);
    REQUIRE(row.sentences.size() == prompt.pieces.words.size());
    CHECK(row.sentences[0] == 0);
    CHECK(row.sentences[3] == 1);
    CHECK(row.sentences[5] == -1);  // a bullet
    CHECK(row.sentences.back() == -1);
  }
  const TempDir dir;
  keep_rows(rows, dir.path() / "rows.json");
  const auto read = read_rows(dir.path() / "rows.json");
  REQUIRE(read.size() == rows.size());
  CHECK(read[0].sentences == rows[0].sentences);
  CHECK(read[0].rises == rows[0].rises);
  auto damaged = rows;
  damaged[1].rises.pop_back();
  keep_rows(damaged, dir.path() / "rows.json");
  expect_error(ErrorCode::kBadData, {"rows.json", "sentence"}, [&] { read_rows(dir.path() / "rows.json"); });
}

TEST_CASE("questions with a context are read from Dolly's, BoolQ's and our own layouts", "[label][unit]") {
  const TempDir dir;
  const auto path = [&](const char* name) { return dir.path() / name; };
  write_file(
      path("dolly.json"),
      R"([{"instruction": "Who sings?", "input": "Leo sings. Ann runs.", "output": "Leo", "category": "closed_qa"},
                 {"instruction": "Name a bird.", "input": "", "output": "Wren", "category": "open_qa"},
                 {"instruction": "Shorten this.", "input": "A long text.", "output": "Text", "category": "summarization"},
                 {"instruction": "Who runs?", "input": "Ann runs.", "output": "Ann"}])");
  const auto dolly = read_question_pairs(path("dolly.json"));
  REQUIRE(dolly.size() == 2);
  CHECK(task_prompt(dolly[0]) == "Leo sings. Ann runs.\nWho sings?\nA:");
  CHECK(dolly[0].options == std::vector<std::string>{"Leo"});
  CHECK(dolly[1].question == "Who runs?");

  write_file(
      path("boolq.jsonl"),
      "{\"query\": \"Passage: Ice floats. It melts.\\nQuestion: does ice float?\", \"choices\": [\"no\", \"yes\"], "
      "\"gold\": 1}\n");
  const auto boolq = read_question_pairs(path("boolq.jsonl"));
  REQUIRE(boolq.size() == 1);
  CHECK(boolq[0].context == "Passage: Ice floats. It melts.");
  CHECK(boolq[0].options == std::vector<std::string>{"yes"});

  const auto chosen = choose_question_pairs({path("dolly.json").string(), path("boolq.jsonl").string()}, 1);
  REQUIRE(chosen.size() == 2);
  CHECK(chosen[0].question == "Who sings?");
  CHECK(choose_question_pairs({path("dolly.json").string()}, 100).size() == 2);

  const auto refused = [&](const std::string& text, const char* message) {
    write_file(path("bad.json"), text);
    expect_error(ErrorCode::kBadData, {"bad.json", message}, [&] { read_question_pairs(path("bad.json")); });
  };
  refused(R"([{"instruction": "Name a bird.", "input": "", "output": "Wren"}])", "found none");
  refused(R"([{"instruction": "Who?", "input": "Leo.", "output": 3}])", "\"output\"");
  refused(R"([{"instruction": "Who?", "input": "Leo.", "output": "Leo"}, 7])", "item 2");
  write_file(path("bad.jsonl"), "{\"query\": \"no context\", \"choices\": [\"a\", \"b\"], \"gold\": 0}\n");
  expect_error(ErrorCode::kBadData, {"bad.jsonl", "found none"}, [&] { read_question_pairs(path("bad.jsonl")); });
}
