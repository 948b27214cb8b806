#include "tokenizer/byte_level.hpp"

#include <array>

#include "base/utf8.hpp"

namespace elrt::byte_level {
namespace {

bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Tables {
  std::array<char32_t, 256> code{};
  std::array<int, 512> byte{};
  Tables() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      code[b] = stands_for_itself(b) ? b : next++;
      byte[code[b]] = static_cast<int>(b);
    }
  }
};

const Tables& tables() {
  static const Tables result;
  return result;
}

}  // namespace

int byte_of(char32_t code) { return code < tables().byte.size() ? tables().byte[code] : -1; }
char32_t code_of(unsigned char byte) { return tables().code[byte]; }

std::optional<std::string> to_bytes(std::string_view token) {
  std::string bytes;
  while (!token.empty()) {
    const utf8::Char c = utf8::decode(token);
    const int byte = c.valid ? byte_of(c.code) : -1;
    if (byte < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
    token.remove_prefix(c.size);
  }
  return bytes;
}

std::string from_bytes(std::string_view bytes) {
  std::string token;
  for (const char c : bytes) utf8::append(token, code_of(static_cast<unsigned char>(c)));
  return token;
}

}  // namespace elrt::byte_level
