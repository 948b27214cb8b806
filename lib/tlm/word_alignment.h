// Which words of a text its compressed version kept.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastify {

// How much two words are the same, case of ASCII letters and punctuation at the ends apart: 1 where equal; 0.6 where
// one is a changed form of the other (a common beginning of at least 3 characters and 60 % of the longer: "discussed"
// and "discussing"; words with digits never); else 0. 0 for words of punctuation alone, unless the very same.
double word_similarity(std::string_view a, std::string_view b);

// The pairing in order of compressed with original words that has the largest sum of similarities; a word is kept where
// it is paired. Of equal pairings the one with the earliest kept words counts. Words that the compressed text adds or
// moves have no partner. O(original x compressed) time, as many bytes of memory.
std::vector<bool> kept_by_alignment(const std::vector<std::string>& original,
                                    const std::vector<std::string>& compressed);

}  // namespace elastify
