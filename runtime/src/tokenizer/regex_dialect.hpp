// Regular expressions in the dialect of tokenizer.json, rewritten for PCRE2.
//
// The `tokenizers` library hands its patterns to Oniguruma (syntax ONIG_SYNTAX_ONIGURUMA, UTF-8). What looks the same
// in PCRE2 often means something else:
//   ^ $          of every line                       PCRE2: of the text, unless asked
//   (?m)         . matches a line feed               PCRE2: ^ and $ of every line
//   a(?i)b|c     a(?i:b|c)                           PCRE2: the option ends with the branch
//   x{1,3}+      (?:x{1,3})+                         PCRE2: possessive
//   x{,3}        x{0,3}                              PCRE2: the text "x{,3}"
//   \h \v        a hexadecimal digit; U+000B         PCRE2: horizontal, vertical space
//   \w \b        letters, marks, digits, _ and more  PCRE2 10.42: no marks
//   \s           White_Space                         PCRE2: U+180E too
//   \p{Han}      the script                          PCRE2 from 10.40: its extensions too
//   [a&&[b]]     both                                PCRE2: '&' and '['
// What this file does not know is refused by name, never handed on.
#pragma once

#include <string>
#include <string_view>

#include "elrt/result.hpp"
#include "tokenizer/regex_sets.hpp"

namespace elrt {

// `pattern` must be valid UTF-8. The result is for pcre2_compile with PCRE2_UTF, PCRE2_UCP, PCRE2_MULTILINE and line
// feed as the only newline. Groups do not capture. kBadData that names what is not supported, and where. O(bytes) time
// and memory for any pattern.
Result<std::string> pcre2_from_oniguruma(std::string_view pattern, RegexUnicode unicode);

}  // namespace elrt
