#include "tokenizer/literal_set.hpp"

#include <algorithm>

namespace elrt {

void LiteralSet::add(const std::string& text, std::int32_t id) {
  if (text.empty() || !ids_.emplace(text, id).second) return;
  std::vector<std::size_t>& sizes = sizes_[static_cast<unsigned char>(text[0])];
  const auto place = std::lower_bound(sizes.begin(), sizes.end(), text.size(), std::greater<>());
  if (place == sizes.end() || *place != text.size()) sizes.insert(place, text.size());
}

LiteralSet::Match LiteralSet::longest_at(std::string_view text, std::size_t at) const {
  if (ids_.empty() || at >= text.size()) return {};
  for (const std::size_t size : sizes_[static_cast<unsigned char>(text[at])]) {
    if (size > text.size() - at) continue;
    const auto found = ids_.find(text.substr(at, size));
    if (found != ids_.end()) return {found->second, size};
  }
  return {};
}

}  // namespace elrt
