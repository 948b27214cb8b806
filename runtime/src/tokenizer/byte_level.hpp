// GPT-2's writing of bytes as printable characters: bytes that are printable in Latin-1 stand for themselves, the
// others are U+0100 onwards in order (OpenAI's gpt-2 encoder, "bytes_to_unicode").
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace elrt::byte_level {

// The byte that `code` stands for, or -1.
int byte_of(char32_t code);
char32_t code_of(unsigned char byte);

// The bytes that `token` stands for; nothing if one of its characters stands for no byte.
std::optional<std::string> to_bytes(std::string_view token);
std::string from_bytes(std::string_view bytes);

}  // namespace elrt::byte_level
