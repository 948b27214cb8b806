// What a word is by its form and place in the lines of a text.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "elrt/wordpiece.hpp"

namespace elrt {

struct WordKind {
  bool line_start = false;  // the first word of its line
  bool bullet = false;      // "-", "*" and the like before other words of a line
};

// One for each word; `words` are ascending stretches of `text`.
std::vector<WordKind> word_kinds(std::string_view text, std::span<const TextSpan> words);

// "A.", "B)", "2:" at the start of a line, "(C)" anywhere: one ASCII letter or a number of at most two digits.
bool is_option_marker(std::string_view word, bool line_start);

// Holds a decimal digit of any script.
bool has_digit(std::string_view word);

}  // namespace elrt
