// A set of literal texts with ids; finds the longest one at a place of a text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace elrt {

class LiteralSet {
 public:
  struct Match {
    std::int32_t id = -1;  // -1: none
    std::size_t size = 0;  // bytes
  };

  // An empty text is ignored; of equal texts the first counts.
  void add(const std::string& text, std::int32_t id);
  bool empty() const { return ids_.empty(); }
  Match longest_at(std::string_view text, std::size_t at) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
  std::array<std::vector<std::size_t>, 256> sizes_;  // by first byte, longest first
};

}  // namespace elrt
