// Text compared as a reader would: case (of ASCII letters) and spacing do not count.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/words.hpp"

namespace elastify {

using common::fold_text;
using common::trim;

// Runs of letters and digits (every byte of a character beyond ASCII is a letter), with inner apostrophes; lower case.
std::vector<std::string> words_of(std::string_view text);

// Does `part` stand in `text` as whole words? Case does not count. Always false for an empty part.
bool holds_words(std::string_view text, std::string_view part);

// The first byte as a capital where it is an ASCII letter.
std::string with_capital(std::string text);

}  // namespace elastify
