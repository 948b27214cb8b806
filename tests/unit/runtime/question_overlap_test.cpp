// Sentences by what they share with a question: hand-worked texts, hostile ones, and the promise that an answer which
// names what is asked for outlives every sentence that does not, on 200 everyday questions.
#include "tlm/question_overlap.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "elrt/compression.hpp"
#include "tlm/terms.hpp"
#include "unit/runtime/split_words.h"

using elastify_test::split;
using elrt::Language;
using elrt::Sentence;
using elrt::TextSpan;
using nlohmann::json;

namespace {

std::vector<std::string> terms(const std::string& text) {
  std::vector<std::string> found;
  elrt::for_each_term(text, [&](const std::string& term) { found.push_back(term); });
  return found;
}

std::string joined(const std::vector<std::string>& parts, const std::string& gap) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : gap) + part;
  return text;
}

// Every sentence as text, in one line each.
std::vector<std::string> sentences_of(const std::string& text, Language language = Language::kEnglish,
                                      TextSpan question = {}) {
  const auto words = split(text);
  std::vector<std::string> found;
  for (const Sentence& s : elrt::split_sentences(text, words, question, language))
    found.push_back(text.substr(words[s.begin].begin, words[s.end - 1].end - words[s.begin].begin));
  return found;
}

struct Asked {
  std::string text;
  std::vector<TextSpan> words;
  TextSpan question;
};
Asked ask(const std::string& context, const std::string& question) {
  const std::string text = context + "\n" + question;
  return {text, split(text), {text.size() - question.size(), text.size()}};
}

std::vector<float> shares(const std::string& context, const std::string& question) {
  const Asked asked = ask(context, question);
  auto found = elrt::question_overlap(asked.text, asked.words, asked.question).shares;
  while (!found.empty() && question.size() > 0 && found.size() > sentences_of(context).size()) {
    CHECK(found.back() == 0);  // the question's own sentences
    found.pop_back();
  }
  return found;
}

// What this file knows of words, apart from the library: small letters, and no punctuation around them.
std::string bare(std::string word) {
  const auto outside = [](char c) { return static_cast<unsigned char>(c) < 0x80 && !std::isalnum(c); };
  while (!word.empty() && outside(word.front())) word.erase(0, 1);
  while (!word.empty() && outside(word.back())) word.pop_back();
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  return word;
}

std::vector<std::string> bare_words(const std::string& text) {
  std::vector<std::string> found;
  for (const TextSpan& word : split(text)) found.push_back(bare(text.substr(word.begin, word.end - word.begin)));
  return found;
}

// Holds no word that could be a form of one of the question's: none begins like one of four letters or more, and none
// is one of the words that are known to be shared.
bool is_unrelated(const std::string& sentence, const std::string& question, const std::vector<std::string>& shared) {
  for (const auto& word : bare_words(sentence)) {
    for (const auto& known : shared) {
      if (word == bare(known)) return false;
    }
    for (const auto& asked : bare_words(question)) {
      if (asked.size() >= 3 && word.substr(0, 4) == asked.substr(0, 4)) return false;
    }
  }
  return true;
}

struct EverydayQuestion {
  std::string question;
  std::vector<std::string> sentences, shared;
  std::size_t answer = 0;
};
std::vector<EverydayQuestion> everyday_questions() {
  const json file = json::parse(std::ifstream(ELASTIFY_SOURCE_DIR "/tests/unit/runtime/everyday_questions.json"));
  std::vector<EverydayQuestion> all;
  for (const auto& item : file.at("cases"))
    all.push_back({item.at("question"), item.at("sentences"), item.at("shared"), item.at("answer")});
  return all;
}

}  // namespace

TEST_CASE("terms are folded runs of letters, marks and digits", "[overlap][unit]") {
  CHECK(terms("Zo\xC3\xAB's caf\xC3\xA9, at 10:30.") == std::vector<std::string>{"zoe", "s", "cafe", "at", "10:30"});
  CHECK(terms("They don't and WON\xE2\x80\x99T; l'\xC3\xA9"
              "cole") == std::vector<std::string>{"they", "and", "l", "ecole"});
  CHECK(terms("1,250.5 x-ray 3.") == std::vector<std::string>{"1,250.5", "x", "ray", "3"});
  CHECK(terms("Stra\xC3\x9F"
              "e") == std::vector<std::string>{"strasse"});
  CHECK(terms("\xE4\xB8\xAD\xE6\x96\x87 a\xE4\xB8\xAD") ==
        std::vector<std::string>{"\xE4\xB8\xAD", "\xE6\x96\x87", "a", "\xE4\xB8\xAD"});
  CHECK(terms("a\xFF"
              "b \xC3") == std::vector<std::string>{"a", "b"});
  CHECK(terms("").empty());
  CHECK(terms("... \xE2\x80\x94 !?").empty());
}

TEST_CASE("forms of a word have one stem, different words keep theirs", "[overlap][unit]") {
  const auto same = [](Language language, std::initializer_list<const char*> forms) {
    for (const char* form : forms) {
      INFO(form);
      CHECK(elrt::stem_term(form, language) == elrt::stem_term(*forms.begin(), language));
    }
  };
  same(Language::kEnglish, {"order", "orders", "ordered", "ordering"});
  same(Language::kEnglish, {"bake", "bakes", "baked", "baking"});
  same(Language::kEnglish, {"city", "cities"});
  same(Language::kEnglish, {"stop", "stops", "stopped", "stopping"});
  same(Language::kEnglish, {"study", "studies", "studied", "studying"});
  same(Language::kEnglish, {"class", "classes"});
  same(Language::kEnglish, {"box", "boxes"});
  same(Language::kGerman, {"garten", "garten"});
  same(Language::kGerman, {"schlussel", "schlusseln"});
  same(Language::kSpanish, {"naranja", "naranjas"});
  CHECK(elrt::stem_term("2019s", Language::kEnglish) == "2019s");
  CHECK(elrt::stem_term("bus", Language::kEnglish) == "bus");
  CHECK(elrt::stem_term("sing", Language::kEnglish) == "sing");
  CHECK(elrt::stem_term("red", Language::kEnglish) == "red");
  CHECK(elrt::stem_term("a", Language::kEnglish) == "a");
  CHECK(elrt::stem_term("", Language::kEnglish).empty());
}

TEST_CASE("function words tell a text's language and say nothing else", "[overlap][unit]") {
  const auto language = [](const std::string& text) {
    elrt::LanguageGuess guess;
    for (const auto& term : terms(text)) guess.add(term);
    return guess.language();
  };
  CHECK(language("Who will order the seeds for us?") == Language::kEnglish);
  CHECK(language("Wer bestellt die Samen f\xC3\xBCr uns?") == Language::kGerman);
  CHECK(language("Qui a achet\xC3\xA9 les billets pour le concert ?") == Language::kFrench);
  CHECK(language("\xC2\xBFQui\xC3\xA9n trajo la guitarra a la fiesta de los vecinos?") == Language::kSpanish);
  CHECK(language("Chi ha preparato la torta di mele per gli amici?") == Language::kItalian);
  CHECK(language("Quem comprou o presente para os av\xC3\xB3s?") == Language::kPortuguese);
  CHECK(language("Wie heeft de sleutel van het huis?") == Language::kDutch);
  CHECK(language("Vem har nyckeln till b\xC3\xA5ten och huset?") == Language::kSwedish);
  CHECK(language("Xyzzy plugh") == Language::kOther);
  CHECK(language("") == Language::kOther);
  CHECK_FALSE(elrt::is_content_term("the", Language::kEnglish));
  CHECK(elrt::is_content_term("the", Language::kGerman));
  CHECK(elrt::is_content_term("the", Language::kOther));
  CHECK(elrt::is_content_term("seed", Language::kEnglish));
  CHECK_FALSE(elrt::is_content_term("x", Language::kEnglish));
  CHECK(elrt::is_content_term("7", Language::kEnglish));
  CHECK(elrt::is_content_term("\xE4\xB8\xAD", Language::kOther));
  CHECK_FALSE(elrt::is_content_term("", Language::kOther));
}

TEST_CASE("sentences end at marks of all scripts, not at full stops of abbreviations", "[overlap][unit]") {
  using Texts = std::vector<std::string>;
  CHECK(sentences_of("Dr. Kim left. J. Smith came at 3 p.m. on Monday. \"No!\" (Who?) And so on") ==
        Texts{"Dr. Kim left.", "J. Smith came at 3 p.m. on Monday.", "\"No!\"", "(Who?)", "And so on"});
  CHECK(sentences_of("We leave at 5 p.m. Anna drives. It is Plan B. The end.") ==
        Texts{"We leave at 5 p.m.", "Anna drives.", "It is Plan B.", "The end."});
  CHECK(sentences_of("anna drives. bob sleeps.") == Texts{"anna drives.", "bob sleeps."});
  CHECK(sentences_of("She said no. Bo went to No. 5 with Mr. Li.") ==
        Texts{"She said no.", "Bo went to No. 5 with Mr. Li."});
  CHECK(sentences_of("Am 3. Mai kommt Jo. Es sind 30. Ja.", Language::kGerman) ==
        Texts{"Am 3. Mai kommt Jo.", "Es sind 30. Ja."});
  CHECK(sentences_of("It was 1990. Then 30. Then one\nline; two") ==
        Texts{"It was 1990.", "Then 30.", "Then one", "line; two"});
  CHECK(sentences_of("\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82 a\xD8\x9F b\xE2\x80\xA6 \xC2\xAB"
                     "no!\xC2\xBB d") == Texts{"\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82", "a\xD8\x9F", "b\xE2\x80\xA6",
                                               "\xC2\xAB"
                                               "no!\xC2\xBB",
                                               "d"});
  CHECK(sentences_of("a b c d", Language::kEnglish, {4, 5}) == Texts{"a b", "c", "d"});  // the question stands apart
  CHECK(sentences_of("").empty());
  CHECK(sentences_of("...") == Texts{"..."});
}

TEST_CASE("overlap is the share of the question's rarity, as worked by hand", "[overlap][unit]") {
  // Of "red", "van", "Leeds": N = 4; red stands in two sentences, van in one, Leeds in none.
  const double red = std::log(1 + 4.0 / 2), van = std::log(1 + 4.0 / 1);
  const auto found =
      shares("The red van is old. A red door. Nothing here. It rains.", "Where is the red van of Leeds?");
  REQUIRE(found.size() == 4);
  CHECK(found[0] == 1);
  CHECK(found[1] == Approx(red / (red + van)).epsilon(1e-6));  // float
  CHECK(found[2] == 0);
  CHECK(found[3] == 0);
  // A word counts once a sentence, however often and in whatever form it stands there.
  CHECK(shares("Lamps, lamps, LAMP. A lamp.", "Which lamp?") == std::vector<float>{1, 1});
  CHECK(shares("The door. Who was it?", "Who was it?") == std::vector<float>{0, 0});         // function words only
  CHECK(shares("My question is this. Red.", "Question: red?") == std::vector<float>{0, 1});  // a cue is not asked for
}

TEST_CASE("sentences that share come first, by what they share and then by their scores", "[overlap][unit]") {
  const Asked asked = ask("Ann has tea. Bo has a van. Cy has a red van. Di has a van.", "Who has the red van?");
  const auto overlap = elrt::question_overlap(asked.text, asked.words, asked.question);
  std::vector<float> scores(asked.words.size(), 0.5f);
  const auto order = [&] { return elrt::order_sentences(overlap, asked.words, scores, asked.question); };
  CHECK(order() == std::vector<std::size_t>{2, 3, 1, 0});  // the fourth comes after a sentence that shares much
  for (std::size_t w = 3; w < 7; ++w) scores[w] = 1;
  for (std::size_t w = 12; w < 16; ++w) scores[w] = 0;
  scores[0] = scores[1] = scores[2] = 1e30f;
  CHECK(order() == std::vector<std::size_t>{2, 1, 3, 0});
  for (float& score : scores) score = -1e30f;
  CHECK(order() == std::vector<std::size_t>{2, 3, 1, 0});
}

TEST_CASE("without shared words or a question scores decide as before", "[overlap][unit]") {
  std::mt19937 random(5);
  const std::string context = "Leo sings. Ann runs far; (\"Bo sleeps.\") Tea is hot\n- A list";
  for (const std::string question : {"Who is it?", "Xyzzy plugh?", "", "?!"}) {
    const Asked asked = ask(context, question);
    std::vector<float> scores(asked.words.size());
    for (float& score : scores) score = static_cast<float>(random() % 1000) / 1000;
    CHECK(elrt::sentence_scores(asked.text, asked.words, scores, asked.question) ==
          elrt::sentence_scores(asked.text, asked.words, scores));
  }
  const Asked asked = ask(context, "Who sings?");
  std::vector<float> scores(asked.words.size(), 0.5f);
  CHECK(elrt::sentence_scores(asked.text, asked.words, scores, asked.question) !=
        elrt::sentence_scores(asked.text, asked.words, scores));
  CHECK(elrt::sentence_scores(asked.text, asked.words, scores, {}) ==
        elrt::sentence_scores(asked.text, asked.words, scores));
}

TEST_CASE("hostile texts are ranked without harm, and refused where compression refuses them", "[overlap][unit]") {
  const auto ranks = [](const Asked& asked) {
    const std::vector<float> scores(asked.words.size(), 0.25f);
    const auto found = elrt::sentence_scores(asked.text, asked.words, scores, asked.question);
    CHECK(found.size() == asked.words.size());
    CHECK(std::all_of(found.begin(), found.end(), [](float rank) { return std::isfinite(rank); }));
    return found;
  };
  ranks({"", {}, {0, 0}});
  ranks({"Who sings?", split("Who sings?"), {0, 10}});  // a question alone
  ranks(ask("", "Who sings?"));
  std::string enormous, numbers;
  for (int i = 0; i < 200000; ++i) enormous += "word" + std::to_string(i % 5000) + " ";
  for (int i = 0; i < 100000; ++i) numbers += "word" + std::to_string(i) + ". ";
  ranks(ask(enormous, "Which word17?"));
  ranks(ask(numbers, numbers));  // every term asked, one in each sentence
  ranks(ask(std::string(1 << 20, 'x'), std::string(1 << 20, 'x')));
  std::string marks = "e";
  for (int i = 0; i < 100000; ++i) marks += "\xCC\x81";
  ranks(ask(marks + ". " + marks, marks));
  const Asked broken = ask("a \xFF\xC3. b \xE2\x80", "\xFF b \xED\xA0\x80?");
  const auto made = elrt::compress_prompt(broken.text, broken.words, ranks(broken), 50);
  REQUIRE_FALSE(made.ok());
  CHECK(made.failure().status == elrt::Status::kBadData);
  const Asked asked = ask("Leo sings.", "Who sings?");
  const std::vector<float> nan(asked.words.size(), NAN), few(2, 0.0f);
  for (const auto& scores : {nan, few}) {
    const auto found = elrt::sentence_scores(asked.text, asked.words, scores, asked.question);
    CHECK_FALSE(elrt::compress_prompt(asked.text, asked.words, found, 50).ok());
  }
}

TEST_CASE("the everyday questions hold what their tests need", "[overlap][unit]") {
  const auto all = everyday_questions();
  CHECK(all.size() == 200);
  std::vector<std::size_t> places(8, 0);
  std::size_t unrelated = 0;
  for (const auto& item : all) {
    INFO(item.question);
    CHECK((item.sentences.size() >= 4 && item.sentences.size() <= 8));
    REQUIRE(item.answer < item.sentences.size());
    ++places[item.answer];
    const std::string& answer = item.sentences[item.answer];
    CHECK_FALSE(is_unrelated(answer, item.question, item.shared));
    for (const auto& sentence : item.sentences) unrelated += is_unrelated(sentence, item.question, item.shared) ? 1 : 0;
  }
  CHECK(unrelated > 600);  // of about 800 that do not answer; the others may share a word by chance
  for (std::size_t place = 0; place < 5; ++place) CHECK(places[place] > 10);
}

TEST_CASE("an answer that names what is asked for outlives every sentence that does not", "[overlap][unit]") {
  std::mt19937 random(11);
  for (const auto& item : everyday_questions()) {
    for (const std::string gap : {" ", "\n", "\n- "}) {
      const Asked asked = ask(joined(item.sentences, gap), item.question);
      // Words of each sentence, by this file's own count: a bullet is none of its line's.
      std::vector<std::pair<std::size_t, std::size_t>> places;
      std::size_t at = 0;
      for (const auto& sentence : item.sentences) {
        at += gap == "\n- " && at > 0 ? 1 : 0;
        places.emplace_back(at, at + split(sentence).size());
        at = places.back().second;
      }
      for (const bool adversarial : {false, true}) {
        std::vector<float> scores(asked.words.size());
        for (float& score : scores) score = adversarial ? 1 : static_cast<float>(random() % 1001) / 1000;
        if (adversarial) {
          for (std::size_t w = places[item.answer].first; w < places[item.answer].second; ++w) scores[w] = 0;
        }
        const auto ranks = elrt::sentence_scores(asked.text, asked.words, scores, asked.question);
        for (std::uint32_t keep = 30; keep <= 90; keep += 5) {
          elrt::KeepRules rules;
          rules.spans = {asked.question};
          const auto made = elrt::compress_prompt(asked.text, asked.words, ranks, keep, rules);
          REQUIRE(made.ok());
          const auto kept = [&](std::size_t s) {
            return std::count(made->kept.begin() + static_cast<std::ptrdiff_t>(places[s].first),
                              made->kept.begin() + static_cast<std::ptrdiff_t>(places[s].second), true);
          };
          const auto words = static_cast<std::ptrdiff_t>(places[item.answer].second - places[item.answer].first);
          for (std::size_t s = 0; s < item.sentences.size(); ++s) {
            if (s == item.answer || !is_unrelated(item.sentences[s], item.question, item.shared)) continue;
            INFO(made->text << "\nsentence: " << item.sentences[s] << "\nkeep " << keep);
            CHECK((kept(s) == 0 || kept(item.answer) == words));
          }
        }
      }
    }
  }
}
