// Prompt compression against its invariants, checked by a splitter of its own, and hand-worked texts.
#include "elrt/compression.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <sstream>

#include "unit/runtime/split_words.h"

using elastify_test::split;
using elrt::CompressedPrompt;
using elrt::KeepRules;
using elrt::TextSpan;
using elrt::TokenChunk;
using elrt::WordPieceToken;

namespace {

std::vector<std::string> tokens_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

CompressedPrompt compress(const std::string& text, const std::vector<float>& scores, std::uint32_t level,
                          const KeepRules& rules = {}) {
  auto made = elrt::compress_prompt(text, split(text), scores, level, rules);
  if (!made) FAIL(made.failure().message);
  return made.value();
}

// Scores that rise along the text: the last words are kept.
std::string last_words(const std::string& text, std::uint32_t level, const KeepRules& rules = {}) {
  std::vector<float> scores(split(text).size());
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(i);
  return compress(text, scores, level, rules).text;
}

std::string random_text(std::mt19937& random) {
  const std::vector<std::string> pieces = {
      "cake", "Leo.", "-", "B)", "room", "4", "*", "(C)", "\xE4\xB8\xAD\xE6\x96\x87", "x1", "A:", "...", "\xD9\xA3"};
  const std::vector<std::string> gaps = {" ", " ", " ", "  ", "\n", "\n\n", "\t", " \n"};
  std::string text = random() % 3 == 0 ? "\n " : "";
  const std::size_t count = random() % 30;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text += gaps[random() % gaps.size()];
    text += pieces[random() % pieces.size()];
  }
  return random() % 3 == 0 ? text + " \n" : text;
}

std::vector<WordPieceToken> tokens_with(const std::vector<std::size_t>& per_word) {
  std::vector<WordPieceToken> tokens;
  for (std::size_t word = 0; word < per_word.size(); ++word) {
    for (std::size_t i = 0; i < per_word[word]; ++i) tokens.push_back({0, {}, word});
  }
  return tokens;
}

}  // namespace

TEST_CASE("compression keeps the share that was asked for, the highest scored, in order and with clean gaps",
          "[compression][unit]") {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const std::string text = random_text(random);
    const auto words = split(text);
    std::vector<float> scores(words.size());
    for (float& score : scores) score = static_cast<float>(random() % 8) / 8;
    KeepRules rules;
    rules.numbers = round % 2 == 0;
    rules.markers = round % 3 == 0;
    if (!text.empty() && round % 5 == 0) rules.spans.push_back({text.size() / 2, text.size() / 2 + 1});
    std::vector<bool> before(words.size(), false);
    for (std::uint32_t level = 1; level <= 100; level += level == 1 ? 9 : 10) {
      const CompressedPrompt made = compress(text, scores, level, rules);
      std::vector<std::string> expected;
      for (std::size_t i = 0; i < words.size(); ++i) {
        if (made.kept[i]) expected.push_back(text.substr(words[i].begin, words[i].end - words[i].begin));
        CHECK((made.kept[i] || !before[i]));  // levels nest
      }
      CHECK(tokens_of(made.text) == expected);
      CHECK(made.words_kept >=
            static_cast<std::size_t>(std::ceil(static_cast<double>(made.words_total) * level / 100 - 1e-9)));
      CHECK(made.words_total <= words.size());
      if (level == 100) CHECK(made.text == text);
      CHECK((made.text.find("   ") == std::string::npos));  // no gap was joined with another
      before = made.kept;
    }
  }
}

TEST_CASE("without rules exactly the best words stay, of equals the first", "[compression][unit]") {
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    std::string text = "w";
    const std::size_t count = 1 + random() % 40;
    for (std::size_t i = 1; i < count; ++i) text += " w" + std::string(random() % 3, 'x');
    std::vector<float> scores(count);
    for (float& score : scores) score = static_cast<float>(random() % 5);
    const std::uint32_t level = 1 + random() % 100;
    const CompressedPrompt made = compress(text, scores, level);
    CHECK(made.words_total == count);
    CHECK(made.words_kept == (count * level + 99) / 100);
    CHECK(static_cast<std::size_t>(std::count(made.kept.begin(), made.kept.end(), true)) == made.words_kept);
    for (std::size_t in = 0; in < count; ++in) {
      for (std::size_t out = 0; made.kept[in] && out < count; ++out) {
        if (!made.kept[out]) CHECK((scores[in] > scores[out] || (scores[in] == scores[out] && in < out)));
      }
    }
    auto by_count = elrt::compress_prompt_to(text, split(text), scores, made.words_kept);
    REQUIRE(by_count.ok());
    CHECK(by_count->text == made.text);
  }
}

TEST_CASE("removed words take white space, and lines stay lines", "[compression][unit]") {
  CHECK(compress("a b c", {1, 0, 1}, 60).text == "a c");
  CHECK(compress("a  b c", {1, 0, 1}, 60).text == "a  c");       // of equal gaps the first
  CHECK(compress("a b\nc d", {1, 0, 1, 0}, 50).text == "a\nc");  // the line end stays
  CHECK(compress("a\nb\n\nc", {1, 0, 1}, 60).text == "a\n\nc");
  CHECK(compress(" a b \n", {0, 1}, 50).text == " b \n");  // the text's own ends stay
  CHECK(compress("Facts:\n- Leo sings\n- Ann runs\nWho?", {1, 9, 0, 0, 8, 9, 9, 1}, 60).text ==
        "Facts:\n- Ann runs\nWho?");
  CHECK(compress("- a\n- b", {0, 0, 0, 1}, 50).text == "- b");
  CHECK(compress("- -", {0, 0}, 10).text == "- -");  // the second is a word, and keeps its line's bullet
}

TEST_CASE("what must stay does, whatever its scores", "[compression][unit]") {
  KeepRules rules;
  rules.spans = {{11, 16}};  // touches "Who" and "sings?"
  CHECK(last_words("Leo runs\nWho sings?\nxx yy zz ww", 10, rules) == "Who sings?");
  const std::string options = "Pick one (A) red (B) blue\nC. green\n2) four\nI think so";
  CHECK(last_words(options, 10) == "(A) (B)\nC.\n2)");
  rules = {};
  rules.markers = false;
  CHECK(last_words(options, 10, rules) == "think so");
  rules.numbers = true;
  CHECK(last_words("room 4 or x7 or \xD9\xA3 or six and so on", 10, rules) == "4 x7 \xD9\xA3");  // Arabic-Indic three
}

TEST_CASE("texts without words, of one giant word and of symbols are compressed", "[compression][unit]") {
  for (const std::string text : {"", " \n", "\t"}) {
    const CompressedPrompt made = compress(text, {}, 10);
    CHECK(made.text == text);
    CHECK(made.words_total == 0);
  }
  const std::string giant(1 << 20, 'x');
  CHECK(compress(giant, {0}, 1).text == giant);
  CHECK(compress("\xF0\x9F\x98\x80 \xE2\x98\x83 \xE2\x80\x8B", {0, 0, 0}, 50).words_kept == 2);
}

TEST_CASE("compression refuses what it cannot use", "[compression][unit]") {
  const auto status = [](const std::string& text, std::vector<TextSpan> words, std::vector<float> scores,
                         std::uint32_t level, KeepRules rules = {}) {
    const auto made = elrt::compress_prompt(text, words, scores, level, rules);
    return made ? elrt::Status::kOk : made.failure().status;
  };
  CHECK(status("a \xFF", {{0, 1}}, {0}, 50) == elrt::Status::kBadData);
  CHECK(status("a b", {{0, 1}, {2, 3}}, {0, 0}, 50) == elrt::Status::kOk);
  CHECK(status("a b", {{0, 1}, {2, 3}}, {0, 0}, 0) == elrt::Status::kInvalidArgument);
  CHECK(status("a b", {{0, 1}, {2, 3}}, {0, 0}, 101) == elrt::Status::kInvalidArgument);
  CHECK(status("a b", {{0, 1}, {2, 3}}, {0}, 50) == elrt::Status::kInvalidArgument);
  CHECK(status("a b", {{0, 1}, {2, 3}}, {0, NAN}, 50) == elrt::Status::kInvalidArgument);
  CHECK(status("a b", {{0, 1}, {2, 4}}, {0, 0}, 50) == elrt::Status::kInvalidArgument);
  CHECK(status("a b", {{2, 3}, {0, 1}}, {0, 0}, 50) == elrt::Status::kInvalidArgument);
  CHECK(status("a b", {{0, 0}, {2, 3}}, {0, 0}, 50) == elrt::Status::kInvalidArgument);
  KeepRules rules;
  rules.spans = {{2, 9}};
  CHECK(status("a b", {{0, 1}, {2, 3}}, {0, 0}, 50, rules) == elrt::Status::kInvalidArgument);
}

TEST_CASE("the question is a prompt's last line, with the cue below it", "[compression][unit]") {
  const auto question = [](const std::string& text) {
    const TextSpan found = elrt::find_question(text, split(text));
    return text.substr(found.begin, found.end - found.begin);
  };
  CHECK(question("Maya bakes. Leo sings.\nWho sings?\nA:") == "Who sings?\nA:");
  CHECK(question("Maya bakes.\nWho sings?\nA. Maya\nB. Leo\nAnswer:") == "Who sings?\nA. Maya\nB. Leo\nAnswer:");
  CHECK(question("(A) Maya\n(B) Leo") == "(A) Maya\n(B) Leo");
  CHECK(question("Maya bakes.\nQ: Who sings?\nA:") == "Q: Who sings?\nA:");
  CHECK(question("Maya bakes.\n\nWho sings?\n") == "Who sings?\n");
  CHECK(question("Maya bakes. Leo sings. Who sings?") == "Who sings?");
  CHECK(question("Who sings?") == "Who sings?");
  CHECK(question("A:") == "A:");
  CHECK(question(" \n").empty());
}

TEST_CASE("chunks cover all tokens, overlap, and begin at words", "[compression][unit]") {
  std::mt19937 random(6);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::size_t> sizes(random() % 60);
    for (std::size_t& size : sizes) size = random() % 10 == 0 ? random() % 50 : random() % 4;
    const auto tokens = tokens_with(sizes);
    const std::size_t most = 2 + random() % 30, overlap = random() % most;
    const auto chunks = elrt::plan_chunks(tokens, most, overlap);
    REQUIRE(chunks.ok());
    std::size_t end = 0;
    for (std::size_t c = 0; c < chunks->size(); ++c) {
      const TokenChunk chunk = chunks.value()[c];
      CHECK(chunk.end - chunk.begin <= most);
      CHECK(chunk.end > end);
      CHECK(chunk.begin + (c == 0 ? 0 : overlap) <= end);
      end = chunk.end;
    }
    CHECK(end == tokens.size());
    CHECK(chunks->size() <= 2 * (tokens.size() / (most - overlap) + 1));
  }
  const auto whole_words = elrt::plan_chunks(tokens_with({2, 2, 2, 2, 2}), 5, 2);
  REQUIRE(whole_words.ok());
  CHECK(whole_words.value() == std::vector<TokenChunk>{{0, 4}, {2, 6}, {4, 8}, {6, 10}});
  CHECK_FALSE(elrt::plan_chunks(tokens_with({1}), 4, 4).ok());
  CHECK(elrt::plan_chunks({}, 4, 1)->empty());
}

TEST_CASE("a word's score is the mean over its tokens, each from where it stands deepest", "[compression][unit]") {
  const auto tokens = tokens_with({2, 1, 0, 3});
  const std::vector<TokenChunk> chunks = {{0, 4}, {2, 6}};
  // Token 2 has one token to its right in the first chunk, none to its left in the second; token 3 the other way round.
  const std::vector<std::vector<float>> scores = {{0.2f, 0.4f, 0.5f, 0.9f}, {0.1f, 0.3f, 0.6f, 0.6f}};
  const auto merged = elrt::merge_word_scores(tokens, 4, chunks, scores);
  REQUIRE(merged.ok());
  CHECK(merged.value() == std::vector<float>{0.3f, 0.5f, 0.0f, 0.5f});
  CHECK_FALSE(elrt::merge_word_scores(tokens, 3, chunks, scores).ok());
  CHECK_FALSE(
      elrt::merge_word_scores(tokens, 4, std::vector<TokenChunk>{{0, 4}}, std::vector<std::vector<float>>(1, scores[0]))
          .ok());
  CHECK_FALSE(elrt::merge_word_scores(tokens, 4, chunks, std::vector<std::vector<float>>(1, scores[0])).ok());
  // One chunk that never ends inside the text scores every token alike.
  const auto single = elrt::merge_word_scores(tokens, 4, std::vector<TokenChunk>{{0, 6}},
                                              std::vector<std::vector<float>>{{1, 0, 1, 0, 0, 0.75f}});
  REQUIRE(single.ok());
  CHECK(single.value() == std::vector<float>{0.5f, 1, 0, 0.25f});
}

TEST_CASE("a sentence counts by its best word, its words by their own scores", "[compression][unit]") {
  const std::string text = "- Leo brings cake.\n- Ann (\"sings.\") Tea is hot\nnow";
  //                        0  1  2     3       4 5   6            7  8  9     10
  const std::vector<float> scores = {0.5f, 0.1f, 0.2f, 0.9f, 0, 0.3f, 0.4f, 0.7f, 0, 0, 1};
  const auto ranks = elrt::sentence_scores(text, split(text), scores);
  REQUIRE(ranks.size() == scores.size());
  const std::vector<float> best = {0.9f, 0.9f, 0.9f, 0.9f, 0.4f, 0.4f, 0.4f, 0.7f, 0.7f, 0.7f, 1};
  for (std::size_t i = 0; i < ranks.size(); ++i) CHECK(ranks[i] == best[i] + scores[i] / 64);
  CHECK(elrt::compress_prompt(text, split(text), ranks, 100 * 6 / 11)->text == "- Leo brings cake.\n- Tea\nnow");
  CHECK(elrt::sentence_scores("", {}, {}).empty());
  CHECK_FALSE(
      elrt::compress_prompt(text, split(text), elrt::sentence_scores(text, split(text), std::vector<float>(3)), 50));
}
