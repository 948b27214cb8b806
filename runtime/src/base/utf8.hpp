// UTF-8 as the Unicode standard's table 3-7 has it: no overlong forms, no surrogates, at most U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace elrt::utf8 {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Char {
  char32_t code = 0;      // U+FFFD where not valid
  std::uint8_t size = 0;  // bytes; where not valid: those of the maximal invalid run, at least 1
  bool valid = false;
  bool truncated = false;  // not valid, but more bytes could make it so
};

// The character at the start of `text`, which must not be empty.
Char decode(std::string_view text);

// Bytes that the first byte of a character announces; 1 for bytes that start none.
inline std::size_t announced_size(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : byte < 0xF8 ? 4 : 1;
}

void append(std::string& text, char32_t code);
bool is_valid(std::string_view text);

// Every maximal invalid run becomes U+FFFD.
std::string replace_invalid(std::string_view text);

// Invalid text made valid without loss, so that Unicode libraries may work on it: every byte outside a valid character
// becomes U+10FF00 + byte (private use, plane 16), and so do the bytes of characters that look like such an escape.
std::string escape_invalid(std::string_view text);

// The inverse, for text known to be escaped.
std::string unescape(std::string_view text);

// The byte that `code` stands for in escaped text, or -1.
inline int escaped_byte(char32_t code) {
  return code >= 0x10FF80 && code <= 0x10FFFF ? static_cast<int>(code - 0x10FF00) : -1;
}

}  // namespace elrt::utf8
