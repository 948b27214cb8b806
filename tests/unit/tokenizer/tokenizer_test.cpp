// Encoding and decoding against hand-worked numbers and invariants.
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "tiny_tokenizers.h"

using namespace elastify_test;
using elrt::EncodeOptions;
using elrt::Tokenizer;
using elrt::TokenizerSpec;

namespace {

Tokenizer make(TokenizerSpec spec) {
  elrt::Result<Tokenizer> tokenizer = Tokenizer::create(std::move(spec));
  if (!tokenizer) FAIL(tokenizer.failure().message);
  return std::move(tokenizer).value();
}

Ids encode(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options = {.add_bos = false}) {
  elrt::Result<Ids> ids = tokenizer.encode(text, options);
  if (!ids) FAIL(ids.failure().message);
  return std::move(ids).value();
}

void check_round_trip(const Tokenizer& tokenizer, const std::string& text) {
  const Ids ids = encode(tokenizer, text);
  INFO("text of " << text.size() << " bytes");
  CHECK(tokenizer.decode(ids, {.skip_special = false, .raw_bytes = true}) == text);
}

}  // namespace

TEST_CASE("score BPE merges the best score first and the leftmost of equals", "[tokenizer][unit]") {
  const Tokenizer tokenizer = make(score_spec());
  CHECK(encode(tokenizer, "abc") == Ids{263, 265});        // bc (-1), then " a" (-3)
  CHECK(encode(tokenizer, "ab") == Ids{259, 264});         // ab (-2) goes before " a"
  CHECK(encode(tokenizer, "aaaa") == Ids{263, 266, 260});  // " a" (-3) first, then the left "aa"
  CHECK(encode(tokenizer, "baaa") == Ids{259, 261, 266, 260});
  CHECK(encode(tokenizer, "") == Ids{});
  CHECK(encode(tokenizer, "", {}) == Ids{1});
  CHECK(encode(tokenizer, "abc", {}) == Ids{1, 263, 265});
}

TEST_CASE("characters without token fall back to their bytes", "[tokenizer][unit]") {
  const Tokenizer tokenizer = make(score_spec());
  CHECK(encode(tokenizer, "a\xC3\xA9") == Ids{263, 0xC3 + 3, 0xA9 + 3});
  CHECK(encode(tokenizer, "\xFF\xE4\xBD") == Ids{259, 0xFF + 3, 0xE4 + 3, 0xBD + 3});
}

TEST_CASE("unknown characters become one unknown token each, or one per run", "[tokenizer][unit]") {
  TokenizerSpec spec = score_spec();
  spec.byte_fallback = false;
  CHECK(encode(make(spec),
               "x\xC3\xA9"
               "a\xFF") == Ids{259, 0, 0, 260, 0});
  spec.fuse_unk = true;
  CHECK(encode(make(spec),
               "x\xC3\xA9"
               "a\xFF") == Ids{259, 0, 260, 0});
  spec.unk_id = -1;
  CHECK(encode(make(spec),
               "x\xC3\xA9"
               "a\xFF") == Ids{259, 260});
}

TEST_CASE("an invalid byte is encoded as U+FFFD where there are no byte tokens", "[tokenizer][unit]") {
  TokenizerSpec spec = score_spec();
  spec.byte_fallback = false;
  const std::int32_t replacement = add_token(spec, "\xEF\xBF\xBD");
  CHECK(encode(make(spec), "a\xFF\xC3") == Ids{263, replacement, replacement});
}

TEST_CASE("score models cut user-defined tokens out before merging", "[tokenizer][unit]") {
  TokenizerSpec spec = score_spec();
  const std::int32_t user = add_token(spec, "ca", elrt::TokenType::kUserDefined);
  CHECK(encode(make(spec), "bcab") == Ids{259, 261, user, 261});  // neither bc nor ab
}

TEST_CASE("merge BPE follows the rank of its rules", "[tokenizer][unit]") {
  const Tokenizer tokenizer = make(byte_level_spec());
  CHECK(encode(tokenizer, "ab ab") == Ids{256, 258});
  CHECK(encode(tokenizer, "a a") == Ids{'a', 257});
  CHECK(encode(tokenizer, "aab") == Ids{'a', 256});
  CHECK(encode(tokenizer, "\xC3\xA9\xFF") == Ids{0xC3, 0xA9, 0xFF});
}

TEST_CASE("pre-tokenization keeps merges inside its pieces", "[tokenizer][unit]") {
  TokenizerSpec spec = byte_level_spec();
  add_token(spec, "1234");
  add_token(spec, "12");
  add_token(spec, "34");
  spec.merges.insert(spec.merges.end(), {{'1', '2'}, {'3', '4'}, {262, 263}});
  CHECK(encode(make(spec), "1234") == Ids{262, '3', '4'});  // Llama 3 cuts digits in threes: 123 | 4
  CHECK(encode(make(spec), "'S") == Ids{'\'', 'S'});
}

TEST_CASE("each split behavior cuts where it says", "[tokenizer][unit]") {
  using elrt::SplitBehavior;
  TokenizerSpec spec = byte_level_spec();
  const std::int32_t bb = add_token(spec, "bb"), ba = add_token(spec, "ba"), ab = 256;
  spec.merges = {{'b', 'b'}, {'b', 'a'}, {'a', 'b'}};
  const auto split = [&](SplitBehavior behavior, bool invert = false) {
    spec.pre_tokenizer = {{elrt::PreTokenizerStep::Kind::kSplit, "b", "", behavior, invert}};
    return encode(make(spec), "abbab");
  };
  CHECK(split(SplitBehavior::kIsolated) == Ids{'a', 'b', 'b', 'a', 'b'});
  CHECK(split(SplitBehavior::kRemoved) == Ids{'a', 'a'});
  CHECK(split(SplitBehavior::kRemoved, true) == Ids{'b', 'b', 'b'});
  CHECK(split(SplitBehavior::kMergedWithPrevious) == Ids{ab, 'b', ab});
  CHECK(split(SplitBehavior::kMergedWithNext) == Ids{'a', 'b', ba, 'b'});
  CHECK(split(SplitBehavior::kContiguous) == Ids{'a', bb, 'a', 'b'});
}

TEST_CASE("a prefix for the first piece goes nowhere else", "[tokenizer][unit]") {
  using Kind = elrt::PreTokenizerStep::Kind;
  TokenizerSpec spec = byte_level_spec();
  spec.pre_tokenizer = {{Kind::kSplit, "c", "", elrt::SplitBehavior::kRemoved}, {Kind::kPrefixFirst, "", "a"}};
  CHECK(encode(make(spec), "bcb") == Ids{256, 'b'});
  CHECK(encode(make(spec), "bwordb") == Ids{256, 260, 'b'});
  CHECK(encode(make(spec), "wordb") == Ids{260, 'b'});
  CHECK(encode(make(spec), "ab") == Ids{256});  // already there
  spec.added[1].normalized = true;
  CHECK(encode(make(spec), "wordb") == Ids{260, 'b'});
  spec.pre_tokenizer[1].kind = Kind::kPrefix;
  CHECK(encode(make(spec), "bcb") == Ids{256, 256});
}

TEST_CASE("regexes know Unicode's classes", "[tokenizer][unit]") {
  TokenizerSpec spec = byte_level_spec();
  const auto removed = [&](const char* pattern, const char* text) {
    spec.pre_tokenizer = {{elrt::PreTokenizerStep::Kind::kSplitRegex, pattern, "", elrt::SplitBehavior::kRemoved}};
    return encode(make(spec), text);
  };
  CHECK(removed("\\s",
                "a\xE3\x80\x80"
                "b\xC2\xA0"
                "c") == Ids{'a', 'b', 'c'});  // U+3000, U+00A0
  CHECK(removed("\\w", "a\xC3\xA9-") == Ids{'-'});
  CHECK(removed("(?i:\xC3\xA9)", "\xC3\x89-") == Ids{'-'});  // upper case of the pattern's letter
}

TEST_CASE("ignore_merges takes a piece that is a token whole", "[tokenizer][unit]") {
  TokenizerSpec spec = byte_level_spec();
  const std::int32_t whole = add_token(spec, "xyz");
  CHECK(encode(make(spec), "xyz") == Ids{'x', 'y', 'z'});
  spec.ignore_merges = true;
  CHECK(encode(make(spec), "xyz") == Ids{whole});
}

TEST_CASE("special tokens in a text count only where asked for", "[tokenizer][unit]") {
  const Tokenizer tokenizer = make(byte_level_spec());
  CHECK(encode(tokenizer, "ab<|end|>ab", {.add_bos = false, .parse_special = true}) == Ids{256, 259, 256});
  CHECK(encode(tokenizer, "ab<|end|>ab").size() > 3);
  CHECK(encode(tokenizer, "abwordab") == Ids{256, 260, 256});  // not special: always
  CHECK(tokenizer.decode(Ids{256, 259, 256}) == "abab");
  CHECK(tokenizer.decode(Ids{256, 259, 256}, {.skip_special = false}) == "ab<|end|>ab");
}

TEST_CASE("added tokens take whitespace and respect words as they say", "[tokenizer][unit]") {
  const EncodeOptions special{.add_bos = false, .parse_special = true};
  TokenizerSpec spec = byte_level_spec();
  spec.added[0].lstrip = spec.added[0].rstrip = true;
  CHECK(encode(make(spec), "a \t<|end|>\n\xE3\x80\x80z", special) == Ids{'a', 259, 'z'});
  CHECK(encode(make(spec), "<|end|>  <|end|>", special) == Ids{259, 259});
  spec.added[1].single_word = true;
  CHECK(encode(make(spec), "word", special) == Ids{260});
  CHECK(encode(make(spec), "-word-", special) == Ids{'-', 260, '-'});
  CHECK(encode(make(spec), "wordz", special).size() == 5);
  CHECK(encode(make(spec), "\xC3\xA9word", special).size() == 6);
}

TEST_CASE("texts come back from their tokens byte for byte", "[tokenizer][unit]") {
  for (const TokenizerSpec& spec : {score_spec(), byte_level_spec()}) {
    const Tokenizer tokenizer = make(spec);
    for (const std::string& text : hard_texts()) check_round_trip(tokenizer, text);
    std::mt19937 random(1);
    for (int i = 0; i < 300; ++i) check_round_trip(tokenizer, random_unicode(random, 1 + i % 50));
    for (int i = 0; i < 300; ++i) check_round_trip(tokenizer, random_bytes(random, 1 + i % 50));
    for (int i = 0; i < 100; ++i)
      check_round_trip(tokenizer, random_unicode(random, 3) + random_bytes(random, 3) + "\xF4\x8F\xBE\x80");
  }
}

TEST_CASE("encoding a long text takes n log n steps, not n squared", "[tokenizer][unit]") {
  TokenizerSpec spec = score_spec();
  for (int size = 4; size <= 64; size *= 2)
    add_token(spec, std::string(static_cast<std::size_t>(size), 'a'), elrt::TokenType::kNormal, -5.0f);
  const Tokenizer tokenizer = make(spec);
  const auto start = std::chrono::steady_clock::now();
  const Ids ids = encode(tokenizer, std::string(1'000'000, 'a'));
  CHECK(ids.size() < 20'000);
  // Quadratic work would take hours; the bound leaves room for sanitizers on a busy machine.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
}

TEST_CASE("one tokenizer serves several threads", "[tokenizer][unit]") {
  const Tokenizer tokenizer = make(byte_level_spec());
  std::mt19937 random(2);
  const std::string text = random_unicode(random, 2000);
  const Ids expected = encode(tokenizer, text);
  std::vector<std::thread> threads;
  std::vector<int> same(4, 0);
  for (std::size_t t = 0; t < same.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const elrt::Result<Ids> ids = tokenizer.encode(text, {.add_bos = false});
        same[t] += ids.ok() && ids.value() == expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(same == std::vector<int>(4, 20));
}

TEST_CASE("ids, sizes and ends are told", "[tokenizer][unit]") {
  TokenizerSpec spec = score_spec();
  spec.stop_ids = {262};
  const Tokenizer tokenizer = make(spec);
  CHECK(tokenizer.vocab_size() == 267);
  CHECK(tokenizer.bos_id() == 1);
  CHECK(tokenizer.eos_id() == 2);
  CHECK(tokenizer.unk_id() == 0);
  CHECK(tokenizer.is_special(1));
  CHECK_FALSE(tokenizer.is_special(260));
  CHECK_FALSE(tokenizer.is_special(-1));
  CHECK(tokenizer.ends_text(2));
  CHECK(tokenizer.ends_text(262));
  CHECK_FALSE(tokenizer.ends_text(1));
  CHECK(tokenizer.token_bytes(263) == " a");
  CHECK(tokenizer.token_bytes(3 + 0xE4) == "\xE4");
  CHECK(tokenizer.token_bytes(267).empty());
  CHECK(tokenizer.token_bytes(-1).empty());
}
