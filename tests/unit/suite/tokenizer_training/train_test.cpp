// The trained tokenizer against SentencePiece's own encoding of the same pieces, and what the header promises.
#include <sentencepiece_processor.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <random>

#include "support/expect_error.h"
#include "support/skip.h"
#include "support/temp_dir.h"
#include "tokenizer/import.h"
#include "tokenizer_training/pieces.h"
#include "tokenizer_training/train.h"
#include "unit/tokenizer/tiny_tokenizers.h"

using namespace elastify_test;
using elastify::ErrorCode;
using elastify::TokenizerTraining;
using elastify::train_tokenizer;

namespace {

constexpr const char* kMark = "\xE2\x96\x81";  // SentencePiece's space

std::string syllable_word(std::mt19937& random) {
  static constexpr const char* kSyllables[] = {
      "ka",           "to",          "mi",  "ren", "sol", "vi",          "an",
      "der",          "qu",          "est", "ing", "o",   "caf\xC3\xA9", "\xD0\xBF\xD1\x80\xD0\xB8",
      "\xE6\x97\xA5", "\xE6\x9C\xAC"};
  std::string word;
  for (std::uint32_t left = 1 + random() % 4; left > 0; --left) {
    // The smaller of two draws, so that some syllables are common.
    word += kSyllables[std::min(random() % std::size(kSyllables), random() % std::size(kSyllables))];
  }
  return word;
}

// Lines with numbers, punctuation, double spaces, tabs, empty lines, SentencePiece's own marks.
std::string made_up_text(std::uint32_t seed, int words) {
  static constexpr const char* kBetween[] = {" ",    " ",  " ",   " ",   " ",  ", ",   ". ", "\n",
                                             "\n\n", "  ", " 19", " - ", "\t", "\r\n", "-",  "..."};
  std::mt19937 random(seed);
  std::string text;
  for (int i = 0; i < words; ++i) {
    text += syllable_word(random) + kBetween[random() % std::size(kBetween)];
    if (random() % 9 == 0) text += std::to_string(random() % 5000) + " ";
    if (random() % 200 == 0) text += kMark + std::string("\xE2\x96\x85 \xF0\x9F\x99\x82 ");
  }
  return text;
}

const std::vector<std::string>& corpus() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> made;
    for (std::uint32_t seed = 0; seed < 40; ++seed) made.push_back(made_up_text(seed, 400));
    return made;
  }();
  return texts;
}

elrt::Tokenizer load(const std::filesystem::path& path) {
  auto tokenizer = elrt::Tokenizer::create(elastify::import_tokenizer(path));
  REQUIRE(tokenizer.ok());
  return std::move(tokenizer).value();
}

TokenizerTraining sized(std::int64_t vocab_size) {
  TokenizerTraining settings;
  settings.vocab_size = vocab_size;
  return settings;
}

// One training for all cases that only read it.
const std::filesystem::path& trained() {
  static const auto* const dir = [] {
    auto* made = new TempDir;
    train_tokenizer(corpus(), sized(1000), made->path());
    return made;
  }();
  return dir->path();
}

Ids encode(const elrt::Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_bos = false}).value();
}

std::vector<std::string> varied_texts() {
  std::vector<std::string> texts = hard_texts();
  std::mt19937 random(11);
  for (int i = 0; i < 2000; ++i) texts.push_back(random_unicode(random, 1 + i % 60));
  for (std::uint32_t seed = 1000; seed < 1100; ++seed) texts.push_back(made_up_text(seed, 60));
  for (int i = 0; i < 500; ++i) {  // few letters, so that repeats overlap
    std::string text;
    for (int left = 1 + i % 50; left > 0; --left) text += "aoktn .-1\n"[random() % 10];
    texts.push_back(std::move(text));
  }
  return texts;
}

void compare_with_sentencepiece(const std::filesystem::path& directory, const std::vector<std::string>& texts) {
  sentencepiece::SentencePieceProcessor oracle;
  REQUIRE(oracle.Load((directory / "tokenizer.model").string()).ok());
  const elrt::Tokenizer ours = load(directory / "tokenizer.json"), model = load(directory / "tokenizer.model");
  CHECK(oracle.GetPieceSize() == ours.vocab_size());
  int compared = 0;
  for (const std::string& text : texts) {
    if (text.find(kMark) != std::string::npos) continue;  // a space to SentencePiece, itself to us
    std::vector<int> expected;
    REQUIRE(oracle.Encode(text, &expected).ok());
    INFO(text);
    CHECK(encode(ours, text) == Ids(expected.begin(), expected.end()));
    CHECK(encode(model, text) == Ids(expected.begin(), expected.end()));
    ++compared;
  }
  CHECK(compared > 2000);
}

std::string error_of(const std::vector<std::string>& texts, const TokenizerTraining& settings) {
  const TempDir dir;
  try {
    train_tokenizer(texts, settings, dir / "out");
  } catch (const elastify::Error& error) {
    CHECK(error.code() == ErrorCode::kBadData);
    CHECK_FALSE(std::filesystem::exists(dir / "out"));
    return error.what();
  }
  return "";
}

std::int64_t largest_size(const std::vector<std::string>& texts) {
  const std::string message = error_of(texts, sized(100000));
  INFO(message);
  const std::size_t at = message.find("at most ");
  REQUIRE(at != std::string::npos);
  return std::stoll(message.substr(at + 8));
}

}  // namespace

TEST_CASE("a trained tokenizer encodes as SentencePiece does", "[tokenizer][golden]") {
  compare_with_sentencepiece(trained(), varied_texts());
}

TEST_CASE("a tokenizer of a book encodes as SentencePiece does", "[tokenizer][golden]") {
  if (!have_shared("data/public-domain-text/tinyshakespeare.txt")) return;
  const TempDir dir;
  const std::string book = read_bytes(shared_dir() / "data/public-domain-text/tinyshakespeare.txt");
  train_tokenizer({book}, sized(4096), dir.path());
  std::vector<std::string> texts = varied_texts();
  for (std::size_t at = 0; at + 3000 < book.size(); at += 20000) texts.push_back(book.substr(at, 3000));
  compare_with_sentencepiece(dir.path(), texts);
}

TEST_CASE("decoding gives every text back byte by byte", "[tokenizer]") {
  const elrt::Tokenizer tokenizer = load(trained());
  std::vector<std::string> texts = varied_texts();
  texts.insert(texts.end(), {kMark, std::string(" ") + kMark + "  a" + kMark, "\xE2\x96\x85", " \n \n\n  x\t\r\n ",
                             "<s></s><unk>", "\\n"});
  for (const std::string& text : texts) {
    INFO(text);
    CHECK(tokenizer.decode(tokenizer.encode(text).value()) == text);
  }
  std::mt19937 random(2);
  for (int i = 0; i < 200; ++i) {
    const std::string bytes = random_bytes(random, 1 + i);
    CHECK(tokenizer.decode(encode(tokenizer, bytes), {.raw_bytes = true}) == bytes);
  }
}

TEST_CASE("a trained tokenizer has the ids that its header names", "[tokenizer]") {
  const elrt::TokenizerSpec spec = elastify::import_tokenizer(trained());
  REQUIRE(spec.tokens.size() == 1000);
  CHECK(spec.tokens[0] == "<unk>");
  CHECK(spec.tokens[1] == "<s>");
  CHECK(spec.tokens[2] == "</s>");
  CHECK(spec.tokens[3] == "\n");
  CHECK(spec.tokens[4] == "<0x00>");
  CHECK(spec.tokens[259] == "<0xFF>");
  CHECK((spec.unk_id == 0 && spec.bos_id == 1 && spec.eos_id == 2));
  CHECK((spec.add_bos && !spec.add_eos && spec.byte_fallback));
  for (std::size_t id = 260; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    CHECK(std::none_of(token.begin(), token.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
    CHECK(token.find(' ', 1) == std::string::npos);
    CHECK((token.size() == 1 || token.find_first_of("0123456789") == std::string::npos));
  }
  const auto back = elrt::tokenizer_spec_from_metadata(elrt::tokenizer_metadata(spec));
  REQUIRE(back.ok());
  CHECK(back.value() == spec);
}

TEST_CASE("texts joined at a space or a newline have the tokens of their parts", "[tokenizer]") {
  const elrt::Tokenizer tokenizer = load(trained());
  std::mt19937 random(5);
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    const std::string left = made_up_text(seed, 8), right = made_up_text(seed + 5000, 8);
    for (const auto& [a, b] :
         {std::pair(left, " " + right), std::pair(left, "\n" + right), std::pair(left + "\n", right)}) {
      Ids parts = encode(tokenizer, a);
      for (const std::int32_t id : encode(tokenizer, b)) parts.push_back(id);
      CHECK(encode(tokenizer, a + b) == parts);
    }
  }
  const Ids lines = encode(tokenizer, "katomi\n\nkatomi");
  const Ids word = encode(tokenizer, "katomi");
  Ids expected = word;
  expected.insert(expected.end(), {3, 3});
  expected.insert(expected.end(), word.begin(), word.end());
  CHECK(lines == expected);
  CHECK(encode(tokenizer, "1987").size() == 4);
}

TEST_CASE("digits join where that is asked for", "[tokenizer]") {
  const TempDir dir;
  TokenizerTraining settings = sized(1000);
  settings.split_digits = false;
  train_tokenizer(corpus(), settings, dir.path());
  CHECK(encode(load(dir.path()), "1919").size() < 4);
}

TEST_CASE("equal texts give equal files", "[tokenizer]") {
  const TempDir dir;
  train_tokenizer(corpus(), sized(1000), dir.path());
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json"}) {
    INFO(name);
    CHECK(read_bytes(dir / name) == read_bytes(trained() / name));
    CHECK_FALSE(read_bytes(dir / name).empty());
  }
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 3);
}

TEST_CASE("the largest vocabulary that is named is the largest there is", "[tokenizer]") {
  const std::vector<std::string> texts = {made_up_text(1, 100)};
  const std::int64_t largest = largest_size(texts);
  CHECK(largest > 300);
  CHECK(error_of(texts, sized(largest)).empty());
  CHECK_THAT(error_of(texts, sized(largest + 1)), Catch::Matchers::Contains("at most " + std::to_string(largest)));
  CHECK(largest_size({"aa"}) == 262);  // the fixed ones, a and aa
}

TEST_CASE("the smallest vocabulary is named, too", "[tokenizer]") {
  CHECK_THAT(error_of({"abcdef"}, sized(261)),
             Catch::Matchers::Contains("take 266 tokens") && Catch::Matchers::Contains("is 261"));
  CHECK(error_of({"abcdef"}, sized(266)).empty());
}

TEST_CASE("texts that cannot be learned from are refused in one line", "[tokenizer]") {
  const TempDir dir;
  const TokenizerTraining settings = sized(300);
  const auto refuse = [&](std::vector<std::string> texts, std::initializer_list<const char*> words) {
    expect_error(ErrorCode::kBadData, words, [&] { train_tokenizer(texts, settings, dir / "out"); });
    CHECK_FALSE(std::filesystem::exists(dir / "out"));
  };
  refuse({}, {"nothing to learn from"});
  refuse({"", "\n\n\t", kMark}, {"nothing to learn from"});
  refuse({"good", "bad \xC3("}, {"text 1", "not UTF-8", "byte 4", "0xc3"});
  refuse({"surrogate \xED\xA0\x80"}, {"text 0", "byte 10"});
}

TEST_CASE("settings and folders out of bounds are refused", "[tokenizer]") {
  const TempDir dir;
  const auto refuse = [&](const TokenizerTraining& settings, const std::filesystem::path& out,
                          std::initializer_list<const char*> words) {
    expect_error(ErrorCode::kUsage, words, [&] { train_tokenizer(corpus(), settings, out); });
  };
  for (const std::int64_t size : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{260}, std::int64_t{1} << 40})
    refuse(sized(size), dir / "out", {"vocab_size", "261"});
  for (const double coverage : {0.0, 1.5, -1.0, std::nan("")}) {
    TokenizerTraining settings;
    settings.character_coverage = coverage;
    refuse(settings, dir / "out", {"character_coverage"});
  }
  write_bytes(dir / "file", "kept");
  refuse(sized(400), dir / "file", {"cannot write into", "file"});
  refuse(sized(400), dir / "file" / "below", {"cannot write into", "below"});
  CHECK(read_bytes(dir / "file") == "kept");
  CHECK_FALSE(std::filesystem::exists(dir / "out"));
}

TEST_CASE("stretches leave out what pieces must not hold", "[tokenizer]") {
  using Views = std::vector<std::string_view>;
  CHECK(elastify::learnable_stretches("").empty());
  CHECK(elastify::learnable_stretches("\n\t\r\n").empty());
  CHECK(elastify::learnable_stretches("a b\n  c\td\xE2\x96\x81\xE2\x96\x85 e\xE2\x96\x80") ==
        Views{"a b", "  c", "d", " e\xE2\x96\x80"});
  const std::string long_word(3 * elastify::kLongestStretchBytes, 'x'),
      long_line = long_word.substr(0, 5000) + " " + long_word.substr(0, 10);
  CHECK(elastify::learnable_stretches(long_word).size() == 3);
  CHECK(elastify::learnable_stretches(long_line) ==
        Views{std::string_view(long_line).substr(0, 5000), std::string_view(long_line).substr(5000)});
  std::string wide;
  for (int i = 0; i < 9000; ++i) wide += "\xE6\x97\xA5";
  for (const std::string_view stretch : elastify::learnable_stretches(wide)) CHECK(stretch.size() % 3 == 0);
}

TEST_CASE("words and lines of any length are learned from", "[tokenizer]") {
  const TempDir dir;
  std::string endless;  // one word of 300 kB: more than SentencePiece's positions count
  std::mt19937 random(8);
  while (endless.size() < 300000) endless += "abcdefgh"[random() % 8];
  train_tokenizer({endless, std::string(100000, ' '), made_up_text(3, 50)}, sized(320), dir.path());
  const elrt::Tokenizer tokenizer = load(dir.path());
  CHECK(encode(tokenizer, endless).size() < endless.size());
  CHECK(tokenizer.decode(encode(tokenizer, endless)) == endless);
}
