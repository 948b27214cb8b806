// The spec's normalizer steps, compiled.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/tokenizer.hpp"
#include "tokenizer/regex.hpp"

namespace elrt {

// Every `pattern` in `text` by `content`.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);

class Normalizer {
 public:
  static Result<Normalizer> create(const std::vector<NormalizerStep>& steps);
  bool empty() const { return steps_.empty(); }

  // `text` is valid UTF-8, and so is the result. Fails where the text grows beyond 64 times its size.
  Result<std::string> apply(std::string text) const;

 private:
  struct Step {
    NormalizerStep step;
    std::optional<Regex> regex;
  };
  std::vector<Step> steps_;
};

}  // namespace elrt
