#include "data/words.h"

#include <algorithm>

namespace elastify {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool apostrophe = text[i] == '\'' && inside && i + 1 < text.size() && is_word(text[i + 1]);
    if (!is_word(text[i]) && !apostrophe) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    words.back() += lower(text[i]);
    inside = true;
  }
  return words;
}

bool holds_words(std::string_view text, std::string_view part) {
  if (part.empty()) return false;
  const auto same = [](char a, char b) { return lower(a) == lower(b); };
  for (auto from = text.begin();; ++from) {
    from = std::search(from, text.end(), part.begin(), part.end(), same);
    if (from == text.end()) return false;
    const auto to = from + static_cast<std::ptrdiff_t>(part.size());
    const bool cut_before = from != text.begin() && is_word(from[-1]) && is_word(part.front());
    const bool cut_after = to != text.end() && is_word(*to) && is_word(part.back());
    if (!cut_before && !cut_after) return true;
  }
}

std::string with_capital(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

}  // namespace elastify
