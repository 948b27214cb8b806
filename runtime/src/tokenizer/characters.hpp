// The two character classes that added tokens look at, as Unicode defines them for regular expressions (UTS #18).
#pragma once

namespace elrt {

bool is_white_space(char32_t code);  // White_Space
bool is_word(char32_t code);         // letters, marks, decimal digits, letter numbers, connector punctuation, joiners

}  // namespace elrt
