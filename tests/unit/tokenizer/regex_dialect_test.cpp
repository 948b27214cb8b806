// Regular expressions mean what they mean to the `tokenizers` library, or are refused by name. Every expected value was
// checked with its Python package, 0.23.3; many more stand in tests/golden/tokenizer/regex.json.
#include <catch2/catch.hpp>

#include "tiny_tokenizers.h"

using namespace elastify_test;
using elrt::NormalizerStep;
using elrt::PreTokenizerStep;
using elrt::SplitBehavior;

namespace {

// `text` with "|" between its pieces.
std::string pieces(const std::string& pattern, const std::string& text,
                   SplitBehavior behavior = SplitBehavior::kIsolated) {
  // A token for each byte and one more: pieces are told apart by how a marker before each of them is encoded.
  elrt::TokenizerSpec spec = byte_level_spec();
  spec.merges.clear();
  spec.added.clear();
  using Kind = PreTokenizerStep::Kind;
  spec.pre_tokenizer = {{Kind::kSplitRegex, pattern, "", behavior}, {Kind::kPrefix, "", "|"}};
  const auto tokenizer = elrt::Tokenizer::create(spec);
  INFO(pattern);
  if (!tokenizer) return tokenizer.failure().message;
  const auto ids = tokenizer->encode(text);
  if (!ids) return ids.failure().message;
  return tokenizer->decode(ids.value());
}

std::string replaced(const std::string& pattern, const std::string& text) {
  elrt::TokenizerSpec spec = byte_level_spec();
  spec.pre_tokenizer.clear();
  spec.normalizer = {{NormalizerStep::Kind::kReplaceRegex, pattern, "-"}};
  const auto tokenizer = elrt::Tokenizer::create(spec);
  if (!tokenizer) return tokenizer.failure().message;
  const auto ids = tokenizer->encode(text);
  return ids ? tokenizer->decode(ids.value()) : ids.failure().message;
}

}  // namespace

TEST_CASE("anchors are those of lines", "[tokenizer][unit]") {
  CHECK(pieces("^ab", "abab\nab") == "|ab|ab\n|ab");
  CHECK(pieces("\\s+$|\\p{L}+", "a \nb ") == "|a| |\n|b| ");
  CHECK(pieces("$", "a\nb\n") == "|a|\nb|\n");
  CHECK(pieces("^", "a\nb\n") == "|a\n|b\n");
  CHECK(replaced(" +$", "a  \nb ") == "a-\nb-");
  CHECK(pieces("\\Aa", "aa\na") == "|a|a\na");
  CHECK(pieces("a\\Z", "a\na\n") == "|a\n|a|\n");
}

TEST_CASE("the option m lets the dot match a line feed", "[tokenizer][unit]") {
  CHECK(pieces("(?m:a.b)", "xa\nbx") == "|x|a\nb|x");
  CHECK(pieces("a.b", "xa\nba\rb") == "|xa\nb|a\rb");
  CHECK(pieces("(?m)a(?-m:.)b", "xa\nb") == "|xa\nb");
  CHECK(pieces("x|a(?i)b|c", "aB C ab c") == "|aB| C |ab| c");  // a(?i:b|c): neither "C" nor "c" alone
}

TEST_CASE("a word is letters, marks, digits and connectors", "[tokenizer][unit]") {
  const std::string accent = "\xCC\x81", joiner = "\xE2\x80\x8D", two = "\xC2\xB2";
  CHECK(pieces("\\w+", "e" + accent + "t" + joiner + "a_1") == "|e" + accent + "t|" + joiner + "|a_1");
  CHECK(pieces("\\bt", "e" + accent + "t t") == "|e" + accent + "t |t");
  CHECK(pieces("\\w", two + two) == "|" + two + "|" + two);
  CHECK(pieces("[\\w]", two + two) == "|" + two + two);
  CHECK(pieces("\\w+|[^\\w\\s]+", "a" + accent + "!? b") == "|a" + accent + "|!?| |b");
}

TEST_CASE("space, hexadecimal digits and U+000B", "[tokenizer][unit]") {
  const std::string vowel_separator = "\xE1\xA0\x8E", next_line = "\xC2\x85";
  CHECK(pieces("\\s+", "a" + vowel_separator + "b" + next_line + " c") ==
        "|a" + vowel_separator + "b|" + next_line + " |c");
  CHECK(pieces("\\h+", "xaF9 g") == "|x|aF9| g");
  CHECK(pieces("\\H+", "xaF9 g") == "|x|aF9| g");
  CHECK(pieces("\\v", "a\vb\nc") == "|a|\v|b\nc");
}

TEST_CASE("classes nest and intersect", "[tokenizer][unit]") {
  CHECK(pieces("[a-z&&[^aeiou]]+", "badcat") == "|b|a|dc|a|t");
  CHECK(pieces("[^a-c&&[b-z]]+", "abcd!b") == "|a|bc|d!|b");  // all but b and c
  CHECK(pieces("[a[0-9]]+", "xa1b2") == "|x|a1|b|2");
  CHECK(pieces("[[:alpha:]&&[:^ascii:]]+", "a\xC3\xA9z") == "|a|\xC3\xA9|z");
  CHECK(pieces("[\\p{Han}]+|[\\p{L}&&[^\\p{Han}]]+",
               "\xE6\x97\xA5"
               "ab\xE6\x9C\xAC") == "|\xE6\x97\xA5|ab|\xE6\x9C\xAC");
  // Script, not its extensions: U+3001 is shared by several.
  CHECK(pieces("\\p{Han}+", "\xE6\x97\xA5\xE3\x80\x81") == "|\xE6\x97\xA5|\xE3\x80\x81");
  // Assigned in Unicode 15, after what PCRE2 10.42 knows.
  CHECK(pieces("\\p{L}+", "a\xF0\xB1\x8D\x90.") == "|a\xF0\xB1\x8D\x90|.");
}

TEST_CASE("repetitions", "[tokenizer][unit]") {
  CHECK(pieces("\\p{N}{1,3}+", "12345a") == "|12345|a");  // not possessive: repeated
  CHECK(pieces("a{,2}", "aaab") == "|aa|a|b");
  CHECK(pieces("a{1", "xa{1") == "|x|a{1");
  CHECK(pieces("a++b|a", "aab") == "|aab");
  CHECK(pieces("a{1,3}?", "aaa") == "|a|a|a");
}

TEST_CASE("empty matches cut and are replaced", "[tokenizer][unit]") {
  CHECK(pieces("(?=[A-Z])", "aBcDE") == "|a|Bc|D|E");
  CHECK(pieces("(?=[A-Z])|x*", "aBxxcDEx", SplitBehavior::kMergedWithPrevious) == "|a|Bxx|c|D|Ex");
  CHECK(replaced("x*", "abxxc") == "-a-b-c-");
  CHECK(replaced("x*", "") == "");
}

TEST_CASE("what has no translation is refused by name", "[tokenizer][unit]") {
  const auto refuses = [](const std::string& pattern, const std::string& name) {
    CHECK_THAT(pieces(pattern, "a"), Catch::Matchers::Contains(name) && Catch::Matchers::Contains("not supported"));
  };
  refuses("(a)\\1", "\\1");
  refuses("(?<n>a)\\k<n>", "\\k");
  refuses("\\Ga", "\\G");
  refuses("a\\Kb", "\\K");
  refuses("\\X", "\\X");
  refuses("\\pL", "\\p");
  refuses("\\Qa\\E", "\\Q");
  refuses("(?s:a)", "\"s\"");
  refuses("(?x: a )", "\"x\"");
  refuses("(*FAIL)", "(*");
  refuses("(?~a)", "(?~");
  refuses("(?(1)a|b)", "(?(");
  refuses("a**", "repetition of a repetition");
  refuses("a{2}?", "{n}?");
  refuses("(?=a)+", "look-around");
  refuses("*a", "repetition of nothing");
  refuses("[a-c-e]", "after a range");
  refuses("[\\w-.]", "after a set");
  refuses("[]a]", "begins with");
  refuses("[[:punct:]]", "[:punct:]");
  refuses("\\p{Nothing}", "Nothing");
  refuses("(?i:ss)", "without regard to case");
  refuses("(?i:s(?:s))", "without regard to case");
  refuses("(?i:s{1}s)", "without regard to case");
  refuses("(?i:\xC3\x9F)", "without regard to case");
  refuses("(?i:\\p{Lu})", "without regard to case");
  refuses("\\xC3", "\\x");
  refuses("\\x{D800}", "no character");
  refuses("a{99999}", "repetitions");
  refuses("(a", "without");
  refuses("a)", "without");
  refuses("[a", "without");
  refuses(std::string(200, '('), "nesting");
  refuses(std::string(200, '['), "nesting");
}

TEST_CASE("long text under a pattern of many branches is matched all the same", "[tokenizer][unit]") {
  const std::string text(200'000, 'a');
  const std::string found = pieces("(?:(?=\\w)[a-z]|\\s)+", text);
  CHECK(found.size() == text.size() + 1);
  CHECK(found.starts_with("|aaaa"));
}
