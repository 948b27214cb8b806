// A prompt's sentences, as stretches of its words.
//
// A sentence ends with its line, where the question begins and ends, and after a word whose last character, closing
// quotes and brackets apart, is a mark that ends sentences in some script: . ! ? and their like. A full stop that
// belongs to its word ends none: after a title ("Dr."), after a single letter ("J.", "z. B.") unless a capital function
// word follows, in German after a day ("3."), after other abbreviations ("p.m.", "etc.") where a lower-case letter or a
// digit follows.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "elrt/wordpiece.hpp"
#include "tlm/function_words.hpp"

namespace elrt {

struct Sentence {
  std::size_t begin = 0, end = 0;  // words
  bool line_start = false;
  bool operator==(const Sentence&) const = default;
};

// In order, all words covered. `words` are ascending stretches of `text`; any bytes are a text. O(bytes).
std::vector<Sentence> split_sentences(std::string_view text, std::span<const TextSpan> words, TextSpan question,
                                      Language language);

}  // namespace elrt
