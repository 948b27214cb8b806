#include "tokenizer/vocabulary.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <optional>

#include "tokenizer/byte_level.hpp"

namespace elrt {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Score models keep control, unknown and byte tokens apart from text, as SentencePiece does. Merge models find every
// entry of the vocabulary, as Hugging Face's do.
bool text_can_become(const TokenizerSpec& spec, std::size_t id) {
  if (spec.model == TokenizerModel::kBpeMerges) return true;
  const TokenType type = spec.types[id];
  return type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
}

std::string bytes_of(const std::string& token, bool& reachable) {
  std::optional<std::string> bytes = byte_level::to_bytes(token);
  reachable = reachable && bytes.has_value();
  return bytes ? std::move(*bytes) : token;
}

}  // namespace

int byte_of_fallback_token(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return -1;
  const int high = hex_digit(token[3]), low = hex_digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::uint64_t Vocabulary::hash_of(std::string_view symbol) { return XXH3_64bits(symbol.data(), symbol.size()); }

Vocabulary::Vocabulary(const TokenizerSpec& spec) {
  byte_tokens_.fill(-1);
  symbols_.reserve(spec.tokens.size());
  if (spec.byte_level) bytes_.reserve(spec.tokens.size());
  std::vector<bool> reachable(spec.tokens.size());
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    bool can = text_can_become(spec, id) && !spec.tokens[id].empty();
    if (spec.byte_level) bytes_.push_back(bytes_of(spec.tokens[id], can));
    symbols_.push_back(spec.byte_level ? bytes_.back() : spec.tokens[id]);
    reachable[id] = can;
  }
  by_text_ = FlatIndex(symbols_.size());
  for (std::size_t id = 0; id < symbols_.size(); ++id) {
    const auto token = static_cast<std::int32_t>(id);
    if (reachable[id])
      by_text_.insert(hash_of(symbols_[id]), token, false,
                      [&](std::int32_t other) { return symbol(other) == symbols_[id]; });
    if (spec.byte_level && reachable[id] && symbols_[id].size() == 1) {
      std::int32_t& slot = byte_tokens_[static_cast<unsigned char>(symbols_[id][0])];
      if (slot < 0) slot = token;
    }
    const int byte = spec.byte_fallback && !spec.byte_level ? byte_of_fallback_token(spec.tokens[id]) : -1;
    if (byte >= 0 && byte_tokens_[static_cast<std::size_t>(byte)] < 0)
      byte_tokens_[static_cast<std::size_t>(byte)] = token;
  }
}

}  // namespace elrt
