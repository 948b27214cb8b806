// Text compared as a reader would: case (of ASCII letters) and spacing do not count.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elastify {

// Without spaces, tabs and line ends at both ends.
std::string_view trim(std::string_view text);

// Lower case, runs of white space as one space, none at the ends.
std::string fold_text(std::string_view text);

// Runs of letters and digits (every byte of a character beyond ASCII is a letter), with inner apostrophes; lower case.
std::vector<std::string> words_of(std::string_view text);

// Does `part` stand in `text` as whole words? Case does not count. Always false for an empty part.
bool holds_words(std::string_view text, std::string_view part);

// The first byte as a capital where it is an ASCII letter.
std::string with_capital(std::string text);

}  // namespace elastify
