// A WordPiece vocabulary learned from text, for encoders that are trained here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace elastify {

// [PAD], [UNK], [CLS], [SEP], [MASK], then every character of the texts (as the uncased rules leave it) as a word's
// beginning and as its continuation ("##c"), then pieces joined by falling frequency (byte pair encoding's rule inside
// words: the most frequent pair of neighbours first, of equals the first in byte order), until there are `size`. Fewer
// where the texts hold no more pairs that occur twice. A pure function of its arguments. Throws Error(kBadData) where
// the characters alone exceed `size`, and for texts without words.
std::vector<std::string> learn_word_pieces(const std::vector<std::string>& texts, std::int64_t size);

// The contents of a vocab.txt: one token a line.
std::string vocabulary_text(const std::vector<std::string>& vocabulary);

}  // namespace elastify
