#include "tlm/word_kinds.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "base/utf8.hpp"

namespace elrt {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_bullet(std::string_view word) {
  constexpr std::string_view kBullets[] = {
      "-", "*", "+", "\xC2\xB7", "\xE2\x80\x93", "\xE2\x80\x94", "\xE2\x80\xA2", "\xE2\x80\xA3"};
  return std::find(std::begin(kBullets), std::end(kBullets), word) != std::end(kBullets);
}

}  // namespace

std::vector<WordKind> word_kinds(std::string_view text, std::span<const TextSpan> words) {
  std::vector<WordKind> kinds(words.size());
  std::size_t end = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view gap = text.substr(end, words[i].begin - end);
    kinds[i].line_start = i == 0 || gap.find_first_of("\n\r") != std::string_view::npos;
    end = words[i].end;
  }
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string_view word = text.substr(words[i].begin, words[i].end - words[i].begin);
    kinds[i].bullet = kinds[i].line_start && !kinds[i + 1].line_start && is_bullet(word);
  }
  return kinds;
}

bool is_option_marker(std::string_view word, bool line_start) {
  const bool opened = word.starts_with('(');
  if (opened) word.remove_prefix(1);
  if (word.size() < 2 || word.size() > 3) return false;
  const char last = word.back();
  word.remove_suffix(1);
  const bool label =
      (word.size() == 1 && is_ascii_letter(word[0])) || std::all_of(word.begin(), word.end(), is_ascii_digit);
  if (!label) return false;
  if (opened) return last == ')' && (line_start || word.size() == 1);
  return line_start && (last == ')' || last == '.' || last == ':');
}

bool has_digit(std::string_view word) {
  for (std::size_t at = 0; at < word.size();) {
    const utf8::Char c = utf8::decode(word.substr(at));
    if (utf8proc_category(static_cast<utf8proc_int32_t>(c.code)) == UTF8PROC_CATEGORY_ND) return true;
    at += c.size;
  }
  return false;
}

}  // namespace elrt
