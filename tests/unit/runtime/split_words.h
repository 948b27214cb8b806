// Words of a text by a splitter of the tests' own: what ASCII white space leaves.
#pragma once

#include <string>
#include <vector>

#include "elrt/compression.hpp"

namespace elastify_test {

inline std::vector<elrt::TextSpan> split(const std::string& text) {
  std::vector<elrt::TextSpan> words;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (std::string(" \t\n\r").find(text[i]) != std::string::npos) continue;
    if (!words.empty() && words.back().end == i)
      ++words.back().end;
    else
      words.push_back({i, i + 1});
  }
  return words;
}

}  // namespace elastify_test
