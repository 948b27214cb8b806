#include "tlm/terms.hpp"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.hpp"

namespace elrt {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The ranges that hold ideographs, unassigned characters among them.
bool is_ideograph(char32_t code) {
  return (code >= 0x3400 && code <= 0x9FFF) || (code >= 0xF900 && code <= 0xFAFF) ||
         (code >= 0x20000 && code <= 0x3FFFF);
}

bool is_term_character(char32_t code) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
         (category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME) ||
         (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

void append_folded(std::string& term, char32_t code) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK);
  utf8proc_int32_t parts[16];  // a folded character has up to three, each of them decomposed up to four
  int boundary = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts, 16, kOptions, &boundary);
  if (count < 0 || count > 16) return utf8::append(term, code);
  for (utf8proc_ssize_t i = 0; i < count; ++i) utf8::append(term, static_cast<char32_t>(parts[i]));
}

// "n't" at `at`, where the apostrophe stands.
bool is_negation(const std::string& term, std::string_view text, std::size_t apostrophe_end) {
  if (term.empty() || term.back() != 'n' || apostrophe_end >= text.size()) return false;
  if (text[apostrophe_end] != 't' && text[apostrophe_end] != 'T') return false;
  return apostrophe_end + 1 == text.size() || !is_ascii_letter(text[apostrophe_end + 1]);
}

}  // namespace

void for_each_term(std::string_view text, const std::function<void(const std::string& term)>& use) {
  std::string term;
  const auto end_term = [&] {
    if (!term.empty()) use(term);
    term.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Char c = utf8::decode(text.substr(at));
    const std::size_t next = at + c.size;
    const char byte = c.size == 1 ? text[at] : '\0';
    if (is_ascii_letter(byte)) {
      term += byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
    } else if (is_ascii_digit(byte)) {
      term += byte;
    } else if (byte == '.' || byte == ',' || byte == ':') {
      const bool inside = at > 0 && is_ascii_digit(text[at - 1]) && next < text.size() && is_ascii_digit(text[next]);
      inside ? void(term += byte) : end_term();
    } else if (byte == '\'' || c.code == 0x2019) {
      const bool negation = is_negation(term, text, next);
      negation ? term.clear() : end_term();
      at = negation ? next + 1 : next;
      continue;
    } else if (!c.valid || !is_term_character(c.code)) {
      end_term();
    } else if (is_ideograph(c.code)) {
      end_term();
      utf8::append(term, c.code);
      end_term();
    } else {
      append_folded(term, c.code);
    }
    at = next;
  }
  end_term();
}

bool is_content_term(std::string_view term, Language language) {
  if (term.empty() || is_function_word(term, language)) return false;
  const utf8::Char first = utf8::decode(term);
  return first.size < term.size() || is_ascii_digit(term[0]) || is_ideograph(first.code);
}

namespace {

bool ends_with_any(std::string_view word, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return word.ends_with(ending); });
}

bool has_vowel(std::string_view word) { return word.find_first_of("aeiouy") != std::string_view::npos; }

std::string stem_english(std::string word) {
  if (word.size() > 3 && word.ends_with('s') && !ends_with_any(word, {"ss", "us", "is"})) word.pop_back();
  const std::string_view view = word;
  if (word.size() > 5 && word.ends_with("ing") && has_vowel(view.substr(0, word.size() - 3))) {
    word.resize(word.size() - 3);
  } else if (word.size() > 4 && word.ends_with("ed") && !word.ends_with("eed") &&
             has_vowel(view.substr(0, word.size() - 2))) {
    word.resize(word.size() - 2);
  }
  if (word.size() > 3 && word.back() == 'e') word.pop_back();
  if (word.size() > 3 && word.back() == word[word.size() - 2]) word.pop_back();
  if (word.size() > 2 && word.back() == 'y') word.back() = 'i';
  return word;
}

std::string stem_other(std::string word) {
  for (int i = 0; i < 2 && word.size() > 4 && std::string_view("aeiosnrx").find(word.back()) != std::string_view::npos;
       ++i)
    word.pop_back();
  return word;
}

}  // namespace

std::string stem_term(std::string term, Language language) {
  if (std::any_of(term.begin(), term.end(), is_ascii_digit)) return term;
  return language == Language::kEnglish ? stem_english(std::move(term)) : stem_other(std::move(term));
}

}  // namespace elrt
