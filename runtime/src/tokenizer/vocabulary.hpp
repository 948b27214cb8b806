// Looks up tokens by text, in the symbols that byte pair encoding works on: text as it is, or bytes for byte-level
// models.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/tokenizer.hpp"
#include "tokenizer/flat_index.hpp"

namespace elrt {

class Vocabulary {
 public:
  // Views the specification's tokens, which may move as a whole but must outlive it.
  explicit Vocabulary(const TokenizerSpec& spec);

  // The id of a token that text can become, or -1. Among equal tokens the lowest id counts.
  std::int32_t find(std::string_view symbol) const {
    return by_text_.find(hash_of(symbol), [&](std::int32_t id) { return this->symbol(id) == symbol; });
  }

  // The token of one byte: byte level or <0xXX>; -1 where there is none.
  std::int32_t byte_token(unsigned char byte) const { return byte_tokens_[byte]; }

  // A token's symbol: its text, or its bytes for a byte-level token. What it decodes to is the decoder's business.
  std::string_view symbol(std::int32_t id) const { return symbols_[static_cast<std::size_t>(id)]; }

 private:
  static std::uint64_t hash_of(std::string_view symbol);

  std::vector<std::string> bytes_;         // of a byte-level model's tokens
  std::vector<std::string_view> symbols_;  // of bytes_, or of the specification's tokens
  FlatIndex by_text_;
  std::array<std::int32_t, 256> byte_tokens_{};
};

// The byte that "<0xXX>" names, or -1.
int byte_of_fallback_token(std::string_view token);

}  // namespace elrt
