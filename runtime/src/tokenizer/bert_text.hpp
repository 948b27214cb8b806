// Steps 1 to 5 of uncased BERT's rules (elrt/wordpiece.hpp): a text's words, and a word's pieces between punctuation.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "elrt/wordpiece.hpp"

namespace elrt {

// A character as BERT sees it, and the bytes of the original character it was made from.
struct BertChar {
  char32_t code = 0;
  TextSpan bytes;
};

// The words of `text`: maximal runs of bytes without white space.
std::vector<TextSpan> bert_words(std::string_view text);

// The pieces of text[word], none empty; what they hold no longer contains spaces, accents or upper case.
std::vector<std::vector<BertChar>> bert_pieces(std::string_view text, TextSpan word);

}  // namespace elrt
