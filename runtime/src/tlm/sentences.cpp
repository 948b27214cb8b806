#include "tlm/sentences.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "base/utf8.hpp"
#include "tlm/terms.hpp"
#include "tlm/word_kinds.hpp"

namespace elrt {
namespace {

constexpr char32_t kClosing[] = {'"', '\'', ')', ']', '}', 0xBB, 0xAB, 0x2019, 0x201D, 0x201C, 0x203A, 0x300D, 0x300F};
constexpr char32_t kOpening[] = {'"', '\'', '(', '[', '{', 0xA1, 0xAB, 0xBB, 0xBF, 0x2018, 0x201C, 0x201E, 0x2039};
// Besides . ! ? those of Armenian, Arabic, Devanagari, Ethiopic, Chinese and Japanese, and the ellipsis. No semicolon:
// what stands after it belongs to what stands before.
constexpr char32_t kMarks[] = {'.',    '!',    '?',    0x589,  0x61F,  0x6D4,  0x964,  0x965,  0x1362, 0x2026,
                               0x203C, 0x203D, 0x2047, 0x2048, 0x2049, 0x3002, 0xFF01, 0xFF0E, 0xFF1F, 0xFF61};

// Never the end of a sentence; without their full stop, in small letters.
constexpr std::string_view kTitles[] = {"mr",  "mrs", "ms",   "dr",   "prof", "st",  "mt",  "gen",
                                        "col", "sgt", "lt",   "capt", "sen",  "rev", "gov", "hon",
                                        "vs",  "sra", "srta", "dra",  "hr",   "mme", "mlle"};
// Abbreviations that may well be a sentence's last word.
constexpr std::string_view kAbbreviations[] = {"approx", "bzw", "ca",  "cf",  "co",   "corp", "dept", "ed",  "eds",
                                               "est",    "etc", "fig", "inc", "jr",   "lit",  "ltd",  "max", "min",
                                               "no",     "nr",  "op",  "pp",  "resp", "sr",   "usw",  "vol"};

template <std::size_t n>
bool is_one_of(const char32_t (&set)[n], char32_t code) {
  return std::find(std::begin(set), std::end(set), code) != std::end(set);
}

// The start of the character that ends at `end`, at most four bytes before it.
std::size_t last_character(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (begin > 0 && end - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

std::string_view without_closing(std::string_view word) {
  while (!word.empty()) {
    const std::size_t begin = last_character(word, word.size());
    if (begin == 0 || !is_one_of(kClosing, utf8::decode(word.substr(begin)).code)) break;
    word = word.substr(0, begin);
  }
  return word;
}

std::string_view without_opening(std::string_view word) {
  while (!word.empty()) {
    const utf8::Char c = utf8::decode(word);
    if (!is_one_of(kOpening, c.code)) break;
    word.remove_prefix(c.size);
  }
  return word;
}

bool goes_on(std::string_view next) {  // a lower-case letter or a digit
  next = without_opening(next);
  if (next.empty()) return false;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(utf8::decode(next).code));
  return category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_ND;
}

bool begins_with_function_word(std::string_view text, Language language) {
  bool first = true, found = false;
  for_each_term(text, [&](const std::string& term) {
    found = first ? is_function_word(term, language) : found;
    first = false;
  });
  return found;
}

template <std::size_t n>
bool is_listed(const std::string_view (&list)[n], std::string_view word) {
  const auto same = [&](std::string_view entry) {
    return std::equal(word.begin(), word.end(), entry.begin(), entry.end(), [](char a, char b) {
      return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
  };
  return std::any_of(std::begin(list), std::end(list), same);
}

// `word` ends in a full stop. `next`: the word after it on its line, or nothing.
bool is_abbreviation(std::string_view word, std::string_view next, Language language) {
  word.remove_suffix(1);
  word = without_opening(word);
  if (word.empty()) return false;
  const bool initial = word.size() == 1 && ((word[0] >= 'A' && word[0] <= 'Z') || (word[0] >= 'a' && word[0] <= 'z'));
  if (initial) return goes_on(next) || !begins_with_function_word(next, language);  // "J. Smith", but not "Plan B. The"
  if (is_listed(kTitles, word)) return true;
  const bool number = std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (number) return language == Language::kGerman && word.size() <= 2;
  const bool dotted = word.find('.') != std::string_view::npos;
  return (dotted || is_listed(kAbbreviations, word)) && goes_on(next);
}

bool ends_sentence(std::string_view word, std::string_view next, Language language) {
  word = without_closing(word);
  if (word.empty()) return false;
  const std::size_t begin = last_character(word, word.size());
  if (!is_one_of(kMarks, utf8::decode(word.substr(begin)).code)) return false;
  return next.empty() || word.back() != '.' || !is_abbreviation(word, next, language);
}

}  // namespace

std::vector<Sentence> split_sentences(std::string_view text, std::span<const TextSpan> words, TextSpan question,
                                      Language language) {
  const std::vector<WordKind> kinds = word_kinds(text, words);
  const auto asked = [&](std::size_t i) { return words[i].begin < question.end && words[i].end > question.begin; };
  const auto bytes = [&](std::size_t i) { return text.substr(words[i].begin, words[i].end - words[i].begin); };
  std::vector<Sentence> sentences;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool new_one =
        i == 0 || kinds[i].line_start || asked(i) != asked(i - 1) || ends_sentence(bytes(i - 1), bytes(i), language);
    if (new_one) sentences.push_back({i, i, kinds[i].line_start});
    sentences.back().end = i + 1;
  }
  return sentences;
}

}  // namespace elrt
