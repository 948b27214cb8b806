// Sets of characters as Oniguruma writes them: [a-z&&[^b]], [:alpha:], \w, \p{...}.
#pragma once

#include <optional>

#include "tokenizer/regex_reader.hpp"
#include "tokenizer/regex_sets.hpp"

namespace elrt {

struct RegexOptions {
  bool ignore_case = false;          // (?i)
  bool dot_matches_newline = false;  // (?m)
  RegexUnicode unicode = RegexUnicode::kOwn;
};

struct RegexEscape {
  RegexSet set;
  bool negated = false;
};

// After a backslash: what \d \s \w \h \p{...} and their opposites stand for; none where it is something else. What is
// not supported is the reader's failure, here and below.
std::optional<RegexEscape> read_escaped_set(RegexReader& reader, const RegexOptions& options, bool in_class);

// After "[", up to its "]". Not empty, unless the reader failed.
RegexSet read_class(RegexReader& reader, const RegexOptions& options, int depth);

}  // namespace elrt
