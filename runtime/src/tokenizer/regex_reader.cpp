#include "tokenizer/regex_reader.hpp"

#include <algorithm>

#include "base/utf8.hpp"

namespace elrt {
namespace {

int hex_value(char32_t c) {
  if (regex_is_digit(c)) return static_cast<int>(c - '0');
  const char32_t low = regex_lower(c);
  return low >= 'a' && low <= 'f' ? static_cast<int>(low - 'a' + 10) : -1;
}

}  // namespace

std::string regex_show(char32_t c) {
  std::string text;
  if (c != RegexReader::kEnd) utf8::append(text, c);
  return text;
}

void RegexReader::fail(const std::string& what) {
  if (failed()) return;
  failure_ = what;
  failed_at_ = at_;
  at_ = pattern_.size();
}

std::string RegexReader::failure() const {
  return failure_ + " is not supported, at byte " + std::to_string(failed_at_) +
         " of: " + utf8::replace_invalid(pattern_.substr(0, 200));
}

char32_t RegexReader::peek() const { return at_end() ? kEnd : utf8::decode(pattern_.substr(at_)).code; }

char32_t RegexReader::peek_byte(std::size_t ahead) const {
  return at_ + ahead >= pattern_.size() ? kEnd
                                        : static_cast<char32_t>(static_cast<unsigned char>(pattern_[at_ + ahead]));
}

char32_t RegexReader::next() {
  if (at_end()) return kEnd;
  const utf8::Char c = utf8::decode(pattern_.substr(at_));
  at_ += c.size;
  return c.code;
}

bool RegexReader::take(std::string_view text) {
  if (!at_text(text)) return false;
  at_ += text.size();
  return true;
}

std::optional<std::string> RegexReader::take_until(std::string_view end) {
  const std::size_t found = pattern_.find(end, at_);
  if (found == std::string_view::npos) return std::nullopt;
  std::string text(pattern_.substr(at_, found - at_));
  at_ = found + end.size();
  return text;
}

std::optional<unsigned> RegexReader::take_number(unsigned limit) {
  if (!regex_is_digit(peek())) return std::nullopt;
  unsigned value = 0;
  for (; regex_is_digit(peek()); ++at_) value = std::min(value * 10 + static_cast<unsigned>(peek() - '0'), limit + 1);
  return value;
}

char32_t RegexReader::hex_digits(int least, int most) {
  char32_t value = 0;
  int count = 0;
  for (; count < most && hex_value(peek()) >= 0; ++count, ++at_)
    value = value * 16 + static_cast<char32_t>(hex_value(peek()));
  if (count < least) fail("a number of too few digits");
  if (value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF)) return value;
  fail("a number that is no character");
  return 0;
}

char32_t RegexReader::hex_character() {
  if (take("{")) {
    const char32_t value = hex_digits(1, 8);
    if (!take("}")) fail("this \"\\x{\"");
    return value;
  }
  const char32_t value = hex_digits(1, 2);
  if (value >= 0x80) fail("\"\\x\" for a single byte of a character");
  return value;
}

std::optional<char32_t> RegexReader::take_escaped_character() {
  constexpr std::string_view kNames = "tnrfvae", kCharacters = "\t\n\r\f\v\a\x1B";
  const char32_t c = peek();
  if (take("x")) return hex_character();
  if (take("u")) return hex_digits(4, 4);
  const std::size_t named = c < 0x80 ? kNames.find(static_cast<char>(c)) : std::string_view::npos;
  if (named != std::string_view::npos) {
    ++at_;
    return static_cast<char32_t>(kCharacters[named]);
  }
  if (c == kEnd || regex_is_letter(c) || regex_is_digit(c)) return std::nullopt;
  return next();
}

}  // namespace elrt
