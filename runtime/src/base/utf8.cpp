#include "base/utf8.hpp"

namespace elrt::utf8 {
namespace {

struct Lead {
  std::uint8_t size;                     // 0: starts no character
  std::uint8_t second_low, second_high;  // allowed second byte
};

Lead lead_of(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

Char invalid(std::size_t size, bool truncated) { return {0xFFFD, static_cast<std::uint8_t>(size), false, truncated}; }

}  // namespace

Char decode(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1, true, false};
  const Lead lead = lead_of(first);
  if (lead.size == 0) return invalid(1, false);
  char32_t code = first & (0x7Fu >> lead.size);
  for (std::size_t i = 1; i < lead.size; ++i) {
    if (i == text.size()) return invalid(i, true);
    const auto byte = static_cast<unsigned char>(text[i]);
    const unsigned low = i == 1 ? lead.second_low : 0x80, high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return invalid(i, false);
    code = (code << 6) | (byte & 0x3Fu);
  }
  return {code, lead.size, true, false};
}

void append(std::string& text, char32_t code) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_valid(std::string_view text) {
  while (!text.empty()) {
    const Char c = decode(text);
    if (!c.valid) return false;
    text.remove_prefix(c.size);
  }
  return true;
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Char c = decode(text);
    out += c.valid ? text.substr(0, c.size) : kReplacement;
    text.remove_prefix(c.size);
  }
  return out;
}

std::string escape_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  while (!text.empty()) {
    const Char c = decode(text);
    if (c.valid && escaped_byte(c.code) < 0) {
      out += text.substr(0, c.size);
    } else {
      for (std::size_t i = 0; i < c.size; ++i) append(out, 0x10FF00 + static_cast<unsigned char>(text[i]));
    }
    text.remove_prefix(c.size);
  }
  return out;
}

std::string unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Char c = decode(text);
    const int byte = escaped_byte(c.code);
    if (byte >= 0)
      out.push_back(static_cast<char>(byte));
    else
      out += text.substr(0, c.size);
    text.remove_prefix(c.size);
  }
  return out;
}

}  // namespace elrt::utf8
