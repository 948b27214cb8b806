#include "tasks/text_template.h"

#include <fmt/format.h>

#include <algorithm>

namespace elastify {

bool TextTemplate::mentions(int slot) const {
  return std::any_of(pieces.begin(), pieces.end(), [slot](const Piece& piece) { return piece.slot == slot; });
}

TextTemplate cut_template(const std::string& source, const std::function<int(std::string_view)>& index_of,
                          std::string& problem) {
  TextTemplate text{source, {}};
  for (std::size_t at = 0; at < source.size();) {
    const std::size_t brace = std::min(source.find_first_of("{}", at), source.size());
    if (brace > at) text.pieces.push_back({source.substr(at, brace - at), TextTemplate::kLiteral});
    if (brace == source.size()) break;
    const std::size_t close = source.find_first_of("{}", brace + 1);
    if (source[brace] == '}' || close == std::string::npos || source[close] == '{') {
      problem = fmt::format("unbalanced braces in \"{}\"", source);
      return text;
    }
    const std::string name = source.substr(brace + 1, close - brace - 1);
    const int slot = index_of(name);
    if (slot == TextTemplate::kLiteral) {
      problem = fmt::format("unknown {{{}}} in \"{}\"", name, source);
      return text;
    }
    text.pieces.push_back({name, slot});
    at = close + 1;
  }
  return text;
}

}  // namespace elastify
