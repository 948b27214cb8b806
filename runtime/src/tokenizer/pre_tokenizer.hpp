// The spec's pre-tokenizer steps, compiled: cuts a text into the pieces that are encoded apart.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/tokenizer.hpp"
#include "tokenizer/regex.hpp"

namespace elrt {

class PreTokenizer {
 public:
  static Result<PreTokenizer> create(const std::vector<PreTokenizerStep>& steps);

  // `text` is valid UTF-8. `at_start`: it begins the whole text (for kPrefixFirst). No piece is empty. Fails where the
  // pieces grow beyond 64 times the text.
  Result<std::vector<std::string>> apply(std::string text, bool at_start) const;

 private:
  struct Step {
    PreTokenizerStep step;
    std::optional<Regex> regex;
  };
  std::vector<Step> steps_;
};

}  // namespace elrt
