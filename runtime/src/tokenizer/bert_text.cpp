#include "tokenizer/bert_text.hpp"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.hpp"

namespace elrt {
namespace {

utf8proc_category_t category_of(char32_t code) { return utf8proc_category(static_cast<utf8proc_int32_t>(code)); }

bool is_space(char32_t code) {
  if (code < 0x80) return code == ' ' || code == '\t' || code == '\n' || code == '\r';
  const utf8proc_category_t category = category_of(code);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool vanishes(const utf8::Char& c) {
  if (!c.valid || c.code == 0xFFFD) return true;
  const utf8proc_category_t category = category_of(c.code);
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
}

// The blocks of ideographs that BERT lists; kana and Hangul are letters to it.
bool is_ideograph(char32_t code) {
  return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B73F) ||
         (code >= 0x2B740 && code <= 0x2B81F) || (code >= 0x2B820 && code <= 0x2CEAF) ||
         (code >= 0xF900 && code <= 0xFAFF) || (code >= 0x2F800 && code <= 0x2FA1F);
}

bool is_punctuation(char32_t code) {
  if (code < 0x80) {
    return (code >= 0x21 && code <= 0x2F) || (code >= 0x3A && code <= 0x40) || (code >= 0x5B && code <= 0x60) ||
           (code >= 0x7B && code <= 0x7E);
  }
  const utf8proc_category_t category = category_of(code);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

void append_decomposed(std::vector<BertChar>& run, char32_t code, TextSpan bytes) {
  if (code < 0x80) {
    run.push_back({code, bytes});
    return;
  }
  utf8proc_int32_t parts[8];  // the longest canonical decomposition has four characters
  int boundary = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts, 8, UTF8PROC_DECOMPOSE, &boundary);
  if (count < 1 || count > 8) {
    run.push_back({code, bytes});
    return;
  }
  for (utf8proc_ssize_t i = 0; i < count; ++i) run.push_back({static_cast<char32_t>(parts[i]), bytes});
}

// NFD's order of combining marks: by class inside each run of them, equal classes as they came. utf8proc's own ordering
// takes quadratic time on long runs.
void order_marks(std::vector<BertChar>& run) {
  const auto combining = [](const BertChar& c) {
    return c.code < 0x80 ? 0 : utf8proc_get_property(static_cast<utf8proc_int32_t>(c.code))->combining_class;
  };
  for (auto at = run.begin(); at != run.end();) {
    if (combining(*at) == 0) {
      ++at;
      continue;
    }
    const auto stop = std::find_if(at, run.end(), [&](const BertChar& c) { return combining(c) == 0; });
    std::stable_sort(at, stop, [&](const BertChar& a, const BertChar& b) { return combining(a) < combining(b); });
    at = stop;
  }
}

// Cuts a decomposed run around punctuation, without its accents and in lower case.
void flush(std::vector<BertChar>& run, std::vector<std::vector<BertChar>>& pieces) {
  order_marks(run);
  bool open = false;
  for (BertChar c : run) {
    if (c.code >= 0x80 && category_of(c.code) == UTF8PROC_CATEGORY_MN) continue;
    c.code = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.code)));
    const bool alone = is_punctuation(c.code);
    if (alone || !open) pieces.emplace_back();
    pieces.back().push_back(c);
    open = !alone;
  }
  run.clear();
}

}  // namespace

std::vector<TextSpan> bert_words(std::string_view text) {
  std::vector<TextSpan> words;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Char c = utf8::decode(text.substr(at));
    const std::size_t next = at + c.size;
    if (c.valid && is_space(c.code)) {
      inside = false;
    } else if (inside) {
      words.back().end = next;
    } else {
      words.push_back({at, next});
      inside = true;
    }
    at = next;
  }
  return words;
}

std::vector<std::vector<BertChar>> bert_pieces(std::string_view text, TextSpan word) {
  std::vector<std::vector<BertChar>> pieces;
  std::vector<BertChar> run;
  for (std::size_t at = word.begin; at < word.end;) {
    const utf8::Char c = utf8::decode(text.substr(at, word.end - at));
    const TextSpan bytes{at, at + c.size};
    at = bytes.end;
    if (vanishes(c)) continue;
    const bool alone = is_ideograph(c.code);
    if (alone) flush(run, pieces);
    append_decomposed(run, c.code, bytes);
    if (alone) flush(run, pieces);
  }
  flush(run, pieces);
  return pieces;
}

}  // namespace elrt
