// What is read, and how documents become batches.
#include <map>
#include <set>

#include "base/hash.h"
#include "data/words.h"
#include "model/decoder.h"
#include "pretrain/curriculum.h"
#include "pretrain/length_batches.h"
#include "pretrain/recall_documents.h"
#include "support.h"
#include "support/expect_error.h"
#include "tasks/renaming.h"
#include "tasks/word_noise.h"

namespace {

using namespace elastify;
using namespace elastify_test;

const fs::path kBank = ELASTIFY_SOURCE_DIR "/tests/golden/tasks";

struct TaskSetup {
  TempDir dir;
  TaskBank bank = load_task_bank(kBank);
  elrt::Tokenizer tokenizer = load_byte_tokenizer(dir);
  PretrainDataConfig config;
  Corpus corpus() const { return Corpus(config, &bank, tokenizer, 2048, 7); }
};

std::string text_of(const elrt::Tokenizer& tokenizer, const WeightedDocument& document, std::size_t begin,
                    std::size_t end) {
  std::vector<std::int32_t> ids(document.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                document.ids.begin() + static_cast<std::ptrdiff_t>(end));
  return tokenizer.decode(ids);
}

// values: "Friday, 11:00"
bool holds_all_values(const std::string& context, std::string values) {
  const std::string text = fold_text(context);
  for (values += ", "; !values.empty(); values.erase(0, values.find(", ") + 2)) {
    if (text.find(fold_text(values.substr(0, values.find(", ")))) == std::string::npos) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a task document is its context, then questions with answers that end", "[pretrain][unit]") {
  const TaskSetup setup;
  const Corpus corpus = setup.corpus();
  const TaskGenerator tasks(setup.bank);
  int checked = 0;
  for (const auto& document : corpus.held_out()) {
    if (document.family == kRecallFamily) continue;
    REQUIRE(document.answers.size() == 1);
    const AnswerSpan answer = document.answers[0];
    CHECK(document.ids.front() == setup.tokenizer.bos_id());
    CHECK(document.ids.back() == setup.tokenizer.eos_id());
    const AnswerSpan value = document.values.at(0);
    CHECK((value.begin >= answer.begin && value.begin < value.end &&
           value.end < answer.end));  // of bytes: never the end of text
    CHECK(answer.end == document.ids.size());
    const std::string prompt = text_of(setup.tokenizer, document, 0, answer.begin);
    CHECK(prompt.ends_with("\nA:"));
    CHECK(prompt.find('\n') < prompt.size() - 1);
    for (std::size_t i = 1; i < document.ids.size(); ++i)
      CHECK(document.weights[i] == (i < answer.begin ? 0.25f : 1.0f));
    ++checked;
  }
  CHECK(checked > 0);
}

TEST_CASE("the first question stands as evaluation asks it", "[pretrain][unit]") {
  const TaskSetup setup;
  const Corpus corpus = setup.corpus();
  const TaskGenerator tasks(setup.bank);
  Difficulty one;
  const auto& family = setup.bank.families.front().name;
  const TaskItem item = tasks.generate(Split::kValidation, family, derive_seed(7, "held out"), 0, one).items.front();
  const WeightedDocument document = corpus.held_out().front();
  CHECK(text_of(setup.tokenizer, document, 0, document.answers[0].begin) == task_prompt(item));
  CHECK(text_of(setup.tokenizer, document, document.answers[0].begin, document.ids.size()) ==
        option_behind_prompt(item.options[item.answer]));
}

TEST_CASE("document N is a pure function of the seed and N", "[pretrain][unit]") {
  const TaskSetup setup;
  const Corpus a = setup.corpus(), b = setup.corpus();
  const auto late = a.training(1000, 0.5);
  a.training(3, 0.5);
  CHECK(a.training(1000, 0.5).ids == late.ids);
  CHECK(b.training(1000, 0.5).ids == late.ids);
  CHECK(b.training(1001, 0.5).ids != late.ids);
}

TEST_CASE("renaming changes names alike everywhere and keeps the answer in the context", "[pretrain][unit]") {
  const TaskSetup setup;
  const TaskGenerator tasks(setup.bank);
  Difficulty several;
  several.max_questions = 4;
  int renamed = 0, answers = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto& family = setup.bank.families[i % setup.bank.families.size()].name;
    const TaskContext before = tasks.generate(Split::kTrain, family, 3, i, several);
    TaskContext after = before;
    std::mt19937_64 random(i);
    rename_values(after, setup.bank, 1, random);
    renamed += after.text != before.text;
    REQUIRE(after.items.size() == before.items.size());
    for (std::size_t k = 0; k < after.items.size(); ++k) {
      CHECK(after.items[k].answer == before.items[k].answer);
      CHECK(after.items[k].context == after.text);
      // A value that stood in the context as it stands in the option still does, under its new name.
      const std::string &old_answer = before.items[k].options[before.items[k].answer],
                        &new_answer = after.items[k].options[after.items[k].answer];
      if (before.text.find(old_answer) == std::string::npos) continue;
      CHECK(after.text.find(new_answer) != std::string::npos);
      ++answers;
    }
    std::mt19937_64 again(i);
    TaskContext same = before;
    rename_values(same, setup.bank, 0, again);
    CHECK(same.text == before.text);
  }
  CHECK(renamed == 200);
  CHECK(answers > 50);
}

TEST_CASE("an answer of two hops names first what links its two facts, under its new name", "[pretrain][unit]") {
  TaskSetup setup;
  setup.config.two_hops = 1;
  setup.config.rename_share = 1;
  setup.config.recall_share = setup.config.text_share = 0;
  setup.config.curriculum_right = 0;
  const Corpus corpus = setup.corpus();
  int links = 0;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const WeightedDocument document = corpus.training(i, 1);
    REQUIRE(document.hops.size() == document.answers.size());
    const std::string text = text_of(setup.tokenizer, document, 0, document.answers.at(0).begin);
    const std::string context = text.substr(0, text.rfind('\n', text.size() - 4));
    for (std::size_t k = 0; k < document.answers.size(); ++k) {
      if (document.hops[k] == 1) continue;
      const auto value = text_of(setup.tokenizer, document, document.values[k].begin, document.values[k].end);
      REQUIRE(value.find(':') != std::string::npos);
      const std::size_t begin = value.find_first_not_of(' ');
      const std::string link = value.substr(begin, value.find(':') - begin);
      CHECK(context.find(link) != context.rfind(link));  // it stands in both facts, and not in the question
      const std::size_t question = k == 0 ? context.size() : document.answers[k - 1].end;
      const std::string asked =
          k == 0 ? text.substr(question) : text_of(setup.tokenizer, document, question, document.answers[k].begin);
      CHECK(asked.find(link) == std::string::npos);
      ++links;
    }
  }
  CHECK(links > 20);
}

TEST_CASE("noise takes words that no fact and no answer needs, about as many as asked for", "[pretrain][unit]") {
  const TaskSetup setup;
  const TaskGenerator tasks(setup.bank);
  Difficulty several;
  several.max_questions = 4;
  std::size_t before_words = 0, lost = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto& family = setup.bank.families[i % setup.bank.families.size()].name;
    const TaskContext before = tasks.generate(Split::kTrain, family, 3, i, several);
    TaskContext after = before;
    std::mt19937_64 random(i);
    add_word_noise(after, 0, random);
    CHECK(after.text == before.text);
    add_word_noise(after, 0.5, random);
    for (const TaskFact& fact : before.facts) {
      for (const auto& [slot, value] : fact.slots) CHECK(holds_words(after.text, value));
    }
    for (std::size_t k = 0; k < after.items.size(); ++k) {
      CHECK(after.items[k].context == after.text);
      CHECK(after.items[k].options == before.items[k].options);
      if (before.items[k].query) {
        for (const auto& [slot, value] : before.items[k].query->given)
          CHECK(holds_words(after.items[k].question, value) == holds_words(before.items[k].question, value));
      }
    }
    const auto count = [](const std::string& text, const std::string& word) {
      const auto words = words_of(text);
      return static_cast<std::size_t>(std::count(words.begin(), words.end(), word));
    };
    const auto is_needed = [&](const std::string& word) {
      return std::any_of(before.facts.begin(), before.facts.end(),
                         [&](const TaskFact& fact) {
                           return std::any_of(fact.slots.begin(), fact.slots.end(),
                                              [&](const auto& slot) { return holds_words(slot.second, word); });
                         }) ||
             std::any_of(before.items.begin(), before.items.end(),
                         [&](const TaskItem& item) { return holds_words(item.options[item.answer], word); });
    };
    for (const std::string word : {"the", "is", "for", "to", "on"}) {
      if (is_needed(word)) continue;
      const std::size_t held = count(before.text, word), left = count(after.text, word);
      before_words += held;
      lost += held - std::min(held, left);
    }
  }
  REQUIRE(before_words > 500);
  CHECK(static_cast<double>(lost) / static_cast<double>(before_words) == Approx(0.5).margin(0.07));  // three deviations
}

TEST_CASE("what a recall document asks for stood in its lines, and nothing else counts", "[pretrain][unit]") {
  TaskSetup setup;
  setup.config.recall_share = 1;
  const Corpus corpus = setup.corpus();
  for (std::uint64_t index = 0; index < 60; ++index) {
    const WeightedDocument document = corpus.training(index, 0);
    REQUIRE(document.family == kRecallFamily);
    REQUIRE(document.answers.size() >= 2);
    const auto lines_end = document.ids.begin() + static_cast<std::ptrdiff_t>(document.answers[0].begin);
    std::size_t counted = 0;
    for (const AnswerSpan& answer : document.answers) {
      const auto begin = document.ids.begin() + static_cast<std::ptrdiff_t>(answer.begin),
                 end = document.ids.begin() + static_cast<std::ptrdiff_t>(answer.end) - 1;
      CHECK(std::search(document.ids.begin(), lines_end, begin, end) != lines_end);
      counted += answer.end - answer.begin;
    }
    CHECK(static_cast<std::size_t>(std::count(document.weights.begin(), document.weights.end(), 1.0f)) == counted);
    CHECK(static_cast<std::size_t>(std::count(document.weights.begin(), document.weights.end(), 0.0f)) ==
          document.ids.size() - counted);
  }
  CHECK(corpus.training(0, 1).family != kRecallFamily);
}

TEST_CASE("a recall document has the form that is asked for", "[pretrain][unit]") {
  const TaskSetup setup;
  RecallForm form;
  form.longest = 1;
  for (const bool value_first : {false, true}) {
    form.value_first = value_first;
    form.most_between = 0;
    const auto document = recall_document(setup.tokenizer, form, 3, 2048);
    const std::size_t lines_end =
        document.answers.at(0).begin - 1;                   // the first question is the token before its answer
    std::map<std::int64_t, std::set<std::int64_t>> beside;  // token to those that stand where its value should
    for (std::size_t i = 1; i + 2 < lines_end; i += 3)
      beside[document.ids[value_first ? i + 1 : i]].insert(document.ids[value_first ? i : i + 1]);
    const std::size_t pairs = lines_end / 3;
    CHECK(document.answers.size() ==
          pairs * (value_first ? 1 : 2));  // what a round answered, a second one could repeat
    for (const AnswerSpan& answer : document.answers)
      CHECK(beside.at(document.ids[answer.begin - 1]).contains(document.ids[answer.begin]));
  }
  form.template_tokens = 4;
  form.prose = form.asked = form.invented = true;
  const auto document = recall_document(setup.tokenizer, form, 3, 2048);
  const std::string text = text_of(setup.tokenizer, document, 1, document.ids.size());
  CHECK(text.find("\nA: ") != std::string::npos);
  CHECK(recall_document(setup.tokenizer, form, 3, 2048).ids == document.ids);
  CHECK(recall_document(setup.tokenizer, form, 4, 2048).ids != document.ids);
  CHECK(recall_document(setup.tokenizer, form, 3, 40).ids.size() == 40);
}

TEST_CASE("a bare question is only what it is asked with, its answer only the value", "[pretrain][unit]") {
  TaskSetup setup;
  setup.config.recall_share = 0;
  setup.config.bare_share = 1;
  const auto questions_of = [&](double level) {
    std::size_t words = 0, count = 0;
    for (std::uint64_t i = 0; i < 50; ++i) {
      const auto document = setup.corpus().training(i, level);
      for (const AnswerSpan& answer : document.answers) {
        const std::string before = text_of(setup.tokenizer, document, 0, answer.begin),
                          behind = text_of(setup.tokenizer, document, answer.begin, answer.end);
        const std::size_t begin = before.rfind('\n', before.size() - 4);  // of the question's line; "\nA:" ends it
        const std::string question = before.substr(begin + 1, before.size() - begin - 4);
        words += static_cast<std::size_t>(std::count(question.begin(), question.end(), '?'));
        ++count;
        if (level > 0) continue;
        const std::string prompt = text_of(setup.tokenizer, document, 0, document.answers[0].begin),
                          context = prompt.substr(0, prompt.rfind('\n', prompt.size() - 4));
        INFO(before << "|" << behind);
        CHECK(question.starts_with(" "));
        CHECK(holds_all_values(context, question));
        CHECK(holds_all_values(context, behind));
      }
    }
    return static_cast<double>(words) / static_cast<double>(count);
  };
  CHECK(questions_of(0) == 0);
  CHECK(questions_of(1) > 0.2);
}

TEST_CASE("contexts grow with the curriculum", "[pretrain][unit]") {
  const TaskSetup setup;
  const Corpus corpus = setup.corpus();
  const auto mean_length = [&](double level) {
    std::size_t sum = 0, count = 0;
    for (std::uint64_t i = 0; i < 60; ++i) {
      const auto document = corpus.training(i, level);
      if (document.family == kRecallFamily) continue;
      sum += document.answers[0].begin;
      ++count;
    }
    return static_cast<double>(sum) / static_cast<double>(count);
  };
  CHECK(mean_length(0) < mean_length(0.4));
  CHECK(mean_length(0.4) < mean_length(1));
}

TEST_CASE("every document is in one batch, unpadded predictions and all", "[pretrain][unit]") {
  std::vector<WeightedDocument> documents;
  for (std::int64_t length = 2; length < 40; ++length) {
    WeightedDocument document;
    for (std::int64_t i = 0; i < length; ++i) {
      document.ids.push_back(100 * length + i);
      document.weights.push_back(i == 0 ? 0.0f : i % 3 == 0 ? 0.0f : 0.5f);
    }
    documents.push_back(document);
  }
  std::vector<int> seen(documents.size(), 0);
  for (const auto& batch : batch_by_length(documents, 64)) {
    CHECK((batch.inputs.numel() <= 64 || batch.inputs.size(0) == 1));
    for (std::size_t row = 0; row < batch.documents.size(); ++row) {
      const auto& document = documents[batch.documents[row]];
      ++seen[batch.documents[row]];
      for (std::size_t i = 0; i < static_cast<std::size_t>(batch.inputs.size(1)); ++i) {
        const auto r = static_cast<std::int64_t>(row), c = static_cast<std::int64_t>(i);
        const bool counts = i + 1 < document.ids.size() && document.weights[i + 1] > 0;
        CHECK(batch.targets[r][c].item<std::int64_t>() == (counts ? document.ids[i + 1] : kIgnore));
        CHECK(batch.weights[r][c].item<float>() == (counts ? 0.5f : 0.0f));
        if (i + 1 < document.ids.size()) CHECK(batch.inputs[r][c].item<std::int64_t>() == document.ids[i]);
      }
    }
  }
  CHECK(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
}

TEST_CASE("a corpus without anything to read is refused", "[pretrain][unit]") {
  const TempDir dir;
  const elrt::Tokenizer tokenizer = load_byte_tokenizer(dir);
  PretrainDataConfig config;
  expect_error(ErrorCode::kUsage, {"nothing to read", "data.task_bank", "data.text"},
               [&] { Corpus(config, nullptr, tokenizer, 64, 1); });
  config.text = {fmt::format("?{}", (dir / "missing.txt").string())};
  expect_error(ErrorCode::kUsage, {"nothing to read"}, [&] { Corpus(config, nullptr, tokenizer, 64, 1); });
  config.text = {(dir / "missing.txt").string()};
  expect_error(ErrorCode::kBadData, {"missing.txt"}, [&] { Corpus(config, nullptr, tokenizer, 64, 1); });
  const TaskBank bank = load_task_bank(kBank);
  config = {};
  config.families = {"poetry"};
  expect_error(ErrorCode::kUsage, {"poetry"}, [&] { Corpus(config, &bank, tokenizer, 2048, 1); });
}

TEST_CASE("a share of the contexts is drawn easier than the curriculum stands", "[pretrain][unit]") {
  TaskSetup setup;
  setup.config.recall_share = 0;
  setup.config.rename_share = 0;  // other names would follow other draws
  const auto mean_tokens = [&](double easy_share, double level) {
    setup.config.easy_share = easy_share;
    const Corpus corpus = setup.corpus();
    std::size_t tokens = 0;
    for (std::uint64_t i = 0; i < 200; ++i) tokens += corpus.training(i, level).ids.size();
    return static_cast<double>(tokens) / 200;
  };
  CHECK(mean_tokens(1, 1) < 0.9 * mean_tokens(0, 1));
  CHECK(mean_tokens(1, 0) == mean_tokens(0, 0));  // nothing is easier than the start
}

TEST_CASE("a thinned context weighs as much as a whole one", "[pretrain][unit]") {
  TaskSetup setup;
  setup.config.recall_share = 0;
  double whole = 0, thin = 0;
  std::size_t counted = 0, context = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    setup.config.context_share = 1;
    const WeightedDocument all = setup.corpus().training(i, 1);
    setup.config.context_share = 0.25;
    const WeightedDocument some = setup.corpus().training(i, 1);
    REQUIRE(all.ids == some.ids);
    for (std::size_t at = 1; at < all.ids.size(); ++at) {
      const bool answer = std::any_of(all.answers.begin(), all.answers.end(),
                                      [&](const AnswerSpan& a) { return at >= a.begin && at < a.end; });
      if (answer) {
        CHECK(some.weights[at] == 1);
        continue;
      }
      ++context;
      counted += some.weights[at] > 0;
      whole += all.weights[at];
      thin += some.weights[at];
    }
  }
  CHECK(static_cast<double>(counted) / static_cast<double>(context) == Approx(0.25).margin(0.02));
  CHECK(thin == Approx(whole).epsilon(0.05));
}

TEST_CASE("recall documents are kept at their share after the curriculum", "[pretrain][unit]") {
  TaskSetup setup;
  setup.config.recall_share = 0.5;
  setup.config.recall_kept = 0.2;
  const Corpus corpus = setup.corpus();
  const auto share = [&](double level) {
    int count = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) count += corpus.training(i, level).family == kRecallFamily;
    return count / 1000.0;
  };
  CHECK(share(0) == Approx(0.5).margin(0.05));  // three deviations of a thousand draws
  CHECK(share(1) == Approx(0.2).margin(0.04));
}

TEST_CASE("the curriculum goes on where answers are right, and by the clock at the latest", "[pretrain][unit]") {
  PretrainDataConfig data;
  data.curriculum_right = 0.75;
  data.curriculum_step = 0.1;
  data.curriculum_share = 0.5;
  CHECK(next_level(data, 0.3, 0.1, 100, 75) == Approx(0.4));
  CHECK(next_level(data, 0.3, 0.1, 100, 74) == Approx(0.3));
  CHECK(next_level(data, 0.3, 0.1, 0, 0) == Approx(0.3));  // a pool without tasks
  CHECK(next_level(data, 0.95, 0.1, 4, 4) == Approx(1));
  CHECK(next_level(data, 0, 0.25, 100, 0) == Approx(0));  // the clock starts at half of the share
  CHECK(next_level(data, 0, 0.375, 100, 0) == Approx(0.5));
  CHECK(next_level(data, 0, 0.9, 100, 0) == Approx(1));
  data.curriculum_right = 0;
  CHECK(next_level(data, 0, 0, 0, 0) == Approx(1));
}

TEST_CASE("difficulty ends without a cap", "[pretrain][unit]") {
  PretrainDataConfig data;
  std::mt19937_64 random(1);
  const Difficulty start = difficulty_at(0, data, random), end = difficulty_at(1, data, random);
  CHECK(start.max_facts == 2);
  CHECK(start.max_filler == 0);
  CHECK(start.max_wordings == 1u);
  CHECK(start.max_hops == 1);
  CHECK(start.one_relation == 0);
  CHECK_FALSE((end.max_facts || end.max_filler || end.max_wordings || end.max_hops));
  data.curriculum_facts = 8;
  data.one_relation = 0.8;
  data.read_back = 1;
  data.two_hops = 0.5;
  const Difficulty early = difficulty_at(0, data, random), half = difficulty_at(0.5, data, random),
                   late = difficulty_at(1, data, random);
  CHECK((early.max_facts == 8 && half.max_facts == 12));
  CHECK((early.one_relation == 80 && half.one_relation == 40 && late.one_relation == 0));
  CHECK((early.read_back == 100 && late.read_back == 100));
  CHECK((early.two_hops == 50 && late.two_hops == 50));
  data.hops_from = 0.2;
  CHECK(difficulty_at(0.1, data, random).max_hops == 1);
  CHECK_FALSE(difficulty_at(0.3, data, random).max_hops);
}
