// Looks up tokens by text, in the symbols that byte pair encoding works on: text as it is, or bytes for byte-level
// models.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "elrt/tokenizer.hpp"

namespace elrt {

class Vocabulary {
 public:
  explicit Vocabulary(const TokenizerSpec& spec);

  // The id of a token that text can become, or -1. Among equal tokens the lowest id counts.
  std::int32_t find(std::string_view symbol) const {
    const auto found = by_text_.find(symbol);
    return found == by_text_.end() ? -1 : found->second;
  }

  // The token of one byte: byte level or <0xXX>; -1 where there is none.
  std::int32_t byte_token(unsigned char byte) const { return byte_tokens_[byte]; }

  // A token's symbol: its text, or its bytes for a byte-level token. What it decodes to is the decoder's business.
  std::string_view symbol(std::int32_t id) const { return symbols_[static_cast<std::size_t>(id)]; }

 private:
  std::vector<std::string> symbols_;
  std::unordered_map<std::string_view, std::int32_t> by_text_;  // views of symbols_
  std::array<std::int32_t, 256> byte_tokens_{};
};

// The byte that "<0xXX>" names, or -1.
int byte_of_fallback_token(std::string_view token);

}  // namespace elrt
