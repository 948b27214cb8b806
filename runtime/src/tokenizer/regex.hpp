// A compiled pattern over UTF-8 text, bounded in size and in matching effort. Patterns are written in Oniguruma's
// dialect, as in tokenizer.json (see regex_dialect.hpp), and matched by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "elrt/result.hpp"

struct pcre2_real_code_8;

namespace elrt {

// A stretch of a text, in bytes.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

class Regex {
 public:
  static constexpr std::size_t kMaxPatternBytes = 16384;

  // kBadData with what is not supported, or PCRE2's message, where `pattern` does not compile.
  static Result<Regex> compile(const std::string& pattern);

  // All matches from left to right, not overlapping, as the `tokenizers` library counts them: empty matches too, but
  // not at the end of the match before. `text` must be valid UTF-8. Fails where a match needs more than a fixed number
  // of steps, so no pattern can hang.
  Result<std::vector<TextRange>> find_all(std::string_view text) const;

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  using Code = std::unique_ptr<pcre2_real_code_8, Free>;
  Regex(Code code, Code exact) : code_(std::move(code)), exact_(std::move(exact)) {}
  static Result<Code> compile_code(const std::string& translated, const std::string& pattern);

  Code code_;   // for texts without characters that are newer than PCRE2
  Code exact_;  // slower, for all; none where code_ is exact itself
};

}  // namespace elrt
