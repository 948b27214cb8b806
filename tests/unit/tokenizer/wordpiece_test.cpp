// WordPiece encoding against hand-worked numbers, invariants and hostile text.
#include "elrt/wordpiece.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <iterator>

#include "support/skip.h"
#include "tiny_tokenizers.h"

using namespace elastify_test;
using elrt::TextSpan;
using elrt::WordPiece;
using elrt::WordPieces;

namespace {

const std::vector<std::string> kVocabulary = {"[PAD]", "[UNK]", "[CLS]",  "[SEP]", "[MASK]",         // 0..4
                                              "un",    "##aff", "##able", "a",     "e",              // 5..9
                                              ",",     "[",     "]",      "cls",   "##a",            // 10..14
                                              "ab",    "##b",   "##bc",   "abc",   "\xE4\xB8\xAD"};  // 15..19 (中)

WordPiece make(std::vector<std::string> vocabulary = kVocabulary) {
  elrt::Result<WordPiece> made = WordPiece::create(std::move(vocabulary));
  if (!made) FAIL(made.failure().message);
  return std::move(made).value();
}

WordPieces encode(const WordPiece& wordpiece, std::string_view text) {
  elrt::Result<WordPieces> pieces = wordpiece.encode(text);
  if (!pieces) FAIL(pieces.failure().message);
  return std::move(pieces).value();
}

Ids ids(const WordPieces& pieces) {
  Ids all;
  for (const auto& token : pieces.tokens) all.push_back(token.id);
  return all;
}

bool is_space_at(const std::string& text, std::size_t at) {
  static const std::vector<std::string> kSpaces = {" ",
                                                   "\t",
                                                   "\n",
                                                   "\r",
                                                   "\xC2\xA0",
                                                   "\xE1\x9A\x80",
                                                   "\xE2\x80\xA8",
                                                   "\xE2\x80\xA9",
                                                   "\xE2\x80\xAF",
                                                   "\xE2\x81\x9F",
                                                   "\xE3\x80\x80"};
  for (const auto& space : kSpaces) {
    if (text.compare(at, space.size(), space) == 0) return true;
  }
  if (text.compare(at, 2, "\xE2\x80") != 0 || at + 2 >= text.size()) return false;
  const auto last = static_cast<unsigned char>(text[at + 2]);
  return last >= 0x80 && last <= 0x8A;  // U+2000..U+200A
}

// Words and gaps joined are the text, gaps start with white space, words do not; tokens lie in their words, in order.
void check_spans(const WordPiece& wordpiece, const std::string& text) {
  const WordPieces pieces = encode(wordpiece, text);
  std::string joined;
  std::size_t at = 0;
  for (const TextSpan& word : pieces.words) {
    REQUIRE(word.begin >= at);
    REQUIRE(word.end > word.begin);
    REQUIRE((word.begin > at || at == 0));  // words do not touch
    joined += text.substr(at, word.begin - at) + text.substr(word.begin, word.end - word.begin);
    if (word.begin > at) CHECK(is_space_at(text, at));
    CHECK_FALSE(is_space_at(text, word.begin));
    at = word.end;
  }
  CHECK(joined + text.substr(at) == text);
  if (at < text.size()) CHECK(is_space_at(text, at));
  std::size_t begin = 0, word = 0;
  for (const auto& token : pieces.tokens) {
    REQUIRE(token.word < pieces.words.size());
    CHECK(token.word >= word);
    CHECK(token.bytes.end > token.bytes.begin);
    CHECK(token.bytes.begin >= pieces.words[token.word].begin);
    CHECK(token.bytes.end <= pieces.words[token.word].end);
    if (token.word == word) CHECK(token.bytes.begin >= begin);
    word = token.word;
    begin = token.bytes.begin;
  }
}

}  // namespace

TEST_CASE("WordPiece matches the longest token first and continues with ##", "[tokenizer][unit]") {
  const WordPiece wordpiece = make();
  CHECK(ids(encode(wordpiece, "unaffable")) == Ids{5, 6, 7});
  CHECK(ids(encode(wordpiece, "abc")) == Ids{18});       // whole word
  CHECK(ids(encode(wordpiece, "abbc")) == Ids{15, 17});  // "ab" before "a", "##bc" before "##b"
  CHECK(ids(encode(wordpiece, "abx")) == Ids{1});        // nothing fits x: the whole piece is unknown
  CHECK(ids(encode(wordpiece, "aa,a")) == Ids{8, 14, 10, 8});
  CHECK(ids(encode(wordpiece, "[CLS]")) == Ids{11, 13, 12});  // text never becomes a special token
}

TEST_CASE("WordPiece lowers, strips accents and cuts ideographs, and its spans stay on the original bytes",
          "[tokenizer][unit]") {
  const WordPiece wordpiece = make();
  // "A" 1 byte, "Á" 2 bytes, "a" + U+0301 3 bytes of which the accent belongs to no token.
  const WordPieces accents = encode(wordpiece, "A \xC3\x81 a\xCC\x81");
  CHECK(ids(accents) == Ids{8, 8, 8});
  CHECK(accents.tokens[1].bytes == TextSpan{2, 4});
  CHECK(accents.tokens[2].bytes == TextSpan{5, 6});
  CHECK(accents.words == std::vector<TextSpan>{{0, 1}, {2, 4}, {5, 8}});
  // a中b is one word of three pieces; b alone is not in the vocabulary.
  const WordPieces mixed = encode(wordpiece,
                                  "a\xE4\xB8\xAD"
                                  "b");
  CHECK(ids(mixed) == Ids{8, 19, 1});
  CHECK(mixed.tokens[1].bytes == TextSpan{1, 4});
  CHECK(mixed.words.size() == 1);
}

TEST_CASE("WordPiece leaves out what BERT cleans, and keeps it inside the words", "[tokenizer][unit]") {
  const WordPiece wordpiece = make();
  for (const std::string& hidden :
       {std::string(1, '\0'), std::string("\x01"), std::string("\xEF\xBF\xBD"), std::string("\xE2\x80\x8B"),
        std::string("\xFF"), std::string("\xE4\xB8"), std::string("\xC2\x85"), std::string("\xEE\x80\x80")}) {
    const WordPieces pieces = encode(wordpiece, "a" + hidden + "b");
    CHECK(ids(pieces) == Ids{15});  // "ab"
    CHECK(pieces.tokens[0].bytes == TextSpan{0, 2 + hidden.size()});
    CHECK(pieces.words == std::vector<TextSpan>{{0, 2 + hidden.size()}});
    const WordPieces alone = encode(wordpiece, hidden);
    CHECK(alone.tokens.empty());  // a word without tokens
    CHECK(alone.words == std::vector<TextSpan>{{0, hidden.size()}});
  }
  CHECK(encode(wordpiece, "").words.empty());
  CHECK(encode(wordpiece, " \t\r\n\xC2\xA0").words.empty());
}

TEST_CASE("a piece of 100 characters is matched, one of 101 is unknown", "[tokenizer][unit]") {
  const WordPiece wordpiece = make();
  const WordPieces fits = encode(wordpiece, std::string(100, 'a'));
  CHECK(fits.tokens.size() == 100);
  const WordPieces giant = encode(wordpiece, std::string(101, 'a') + ",a");
  CHECK(ids(giant) == Ids{1, 10, 8});
  CHECK(giant.tokens[0].bytes == TextSpan{0, 101});
}

TEST_CASE("words and gaps joined are the text, whatever the bytes", "[tokenizer][unit]") {
  const WordPiece wordpiece = make();
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) check_spans(wordpiece, random_unicode(random, 60));
  for (int round = 0; round < 200; ++round) {
    std::string bytes;
    for (int i = 0; i < 80; ++i) bytes.push_back(static_cast<char>(random() % 256));
    check_spans(wordpiece, bytes);
  }
}

TEST_CASE("hostile text takes linear time, and too much of it is refused", "[tokenizer][unit]") {
  const WordPiece wordpiece = make();
  const auto started = std::chrono::steady_clock::now();
  std::string marks = "a";
  for (int i = 0; i < 200000; ++i) marks += i % 2 == 0 ? "\xCC\x81" : "\xCC\xA3";  // a run of marks to be ordered
  CHECK(ids(encode(wordpiece, marks)) == Ids{8});
  CHECK(ids(encode(wordpiece, std::string(1 << 20, 'q'))) == Ids{1});
  std::string almost;
  while (almost.size() < 1 << 20) almost += std::string(99, 'a') + "q ";
  CHECK(encode(wordpiece, almost).tokens.size() == encode(wordpiece, almost).words.size());
  CHECK(std::chrono::steady_clock::now() - started <
        std::chrono::seconds(20));  // seconds under sanitizers, quadratic: minutes
  const auto refused = wordpiece.encode(std::string(WordPiece::kMaxTextBytes + 1, ' '));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().status == elrt::Status::kInvalidArgument);
}

TEST_CASE("a WordPiece vocabulary is read line by line and must hold the special tokens", "[tokenizer][unit]") {
  const auto read = WordPiece::from_vocabulary_text("[PAD]\r\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\na");
  REQUIRE(read.ok());
  CHECK(read->vocab_size() == 8);
  CHECK(read->find("a") == 5);  // of equal tokens the first
  CHECK(read->find("##b") == 6);
  CHECK(read->find("b") == -1);
  CHECK(read->token(7) == "a");
  CHECK(read->token(8).empty());
  CHECK(read->token(-1).empty());
  CHECK(std::vector{read->pad_id(), read->unk_id(), read->cls_id(), read->sep_id(), read->mask_id()} ==
        Ids{0, 1, 2, 3, 4});
  for (std::size_t missing = 0; missing < 5; ++missing) {
    std::vector<std::string> vocabulary = kVocabulary;
    vocabulary[missing] = "x";
    const auto failed = WordPiece::create(vocabulary);
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.failure().status == elrt::Status::kBadData);
    CHECK_THAT(failed.failure().message, Catch::Matchers::Contains(kVocabulary[missing]));
  }
  CHECK_FALSE(WordPiece::from_vocabulary_text("").ok());
}

TEST_CASE("the published vocabulary encodes a sentence as the papers print it", "[tokenizer][unit]") {
  if (!have_shared("models/mobilebert-vocab/vocab.txt")) return;
  std::ifstream file(shared_dir() / "models/mobilebert-vocab/vocab.txt", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto wordpiece = WordPiece::from_vocabulary_text(text);
  REQUIRE(wordpiece.ok());
  CHECK(wordpiece->vocab_size() == 30522);
  CHECK(std::vector{wordpiece->pad_id(), wordpiece->unk_id(), wordpiece->cls_id(), wordpiece->sep_id(),
                    wordpiece->mask_id()} == Ids{0, 100, 101, 102, 103});
  std::vector<std::string> shown;
  for (const auto& token : encode(wordpiece.value(), "He likes playing; John Johanson's").tokens)
    shown.emplace_back(wordpiece->token(token.id));
  CHECK(shown == std::vector<std::string>{"he", "likes", "playing", ";", "john", "johan", "##son", "'", "s"});
}

TEST_CASE("the question and every piece that it names are marked, others not", "[wordpiece][unit]") {
  const WordPiece wordpiece = make();
  const auto marked = [&](const std::string& text, TextSpan question) {
    WordPieces pieces = encode(wordpiece, text);
    for (auto& token : pieces.tokens) token.segment = 1;  // marks of an earlier question go
    wordpiece.mark_question(pieces, question);
    std::string marks;
    for (const auto& token : pieces.tokens) marks += token.segment == 0 ? '.' : '1';
    return marks;
  };
  CHECK(marked("ab a e", {5, 6}) == "..1");
  CHECK(marked("ab a E, e", {8, 9}) == "..1.1");  // "e" of another case and next to a comma
  CHECK(marked("unable unaffable e unable", {19, 25}) == "11....11");
  CHECK(marked("abb ab a", {4, 6}) == "..1.");  // "ab" is not "ab ##b"
  CHECK(marked("abb ab abb", {7, 10}) == "11.11");
  CHECK(marked("zz e zz", {5, 7}) == "..1");  // what is unknown may be anything
  CHECK(marked("a b a", {0, 0}) == "...");
  CHECK(marked("e a e a e", {8, 9}) == "1.1.1");
  CHECK(marked("e e e e e", {8, 9}) == "....1");  // as common as "the"
  CHECK(marked("", {0, 0}).empty());
}
