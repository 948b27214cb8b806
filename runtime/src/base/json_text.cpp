#include "base/json_text.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "base/decimal.hpp"
#include "base/utf8.hpp"

namespace elrt::json {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxMembers = 64;  // of an object: they are searched one by one

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Value> document() {
    Value value;
    skip_space();
    if (!read_value(value, 0)) return error();
    skip_space();
    if (at_ != text_.size()) {
      wrong("something after the value");
      return error();
    }
    return value;
  }

 private:
  Failure error() const { return bad_data("not valid JSON: " + problem_ + " at byte " + std::to_string(at_)); }

  bool wrong(const char* problem) {
    problem_ = problem;
    return false;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  bool take(char expected) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != expected) return false;
    ++at_;
    skip_space();
    return true;
  }

  bool word(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return wrong("an unknown word");
    at_ += expected.size();
    return true;
  }

  bool read_value(Value& value, int depth) {
    if (depth > kMaxDepth) return wrong("nesting beyond the limit");
    switch (peek()) {
      case '{':
        return read_object(value, depth);
      case '[':
        return read_array(value, depth);
      case '"':
        return read_string(value.content.emplace<std::string>());
      case 't':
        value.content = true;
        return word("true");
      case 'f':
        value.content = false;
        return word("false");
      case 'n':
        return word("null");
      default:
        return read_number(value.content.emplace<double>(), value.whole);
    }
  }

  bool read_object(Value& value, int depth) {
    auto& members = value.content.emplace<std::vector<Member>>();
    take('{');
    if (take('}')) return true;
    do {
      Member member;
      if (peek() != '"') return wrong("no key");
      if (!read_string(member.key)) return false;
      if (value.find(member.key) != nullptr) return wrong("a repeated key");
      if (members.size() == kMaxMembers) return wrong("an object with too many keys");
      if (!take(':')) return wrong("no colon");
      if (!read_value(member.value, depth + 1)) return false;
      members.push_back(std::move(member));
    } while (take(','));
    return take('}') || wrong("an object without an end");
  }

  bool read_array(Value& value, int depth) {
    auto& items = value.content.emplace<std::vector<Value>>();
    take('[');
    if (take(']')) return true;
    do {
      if (!read_value(items.emplace_back(), depth + 1)) return false;
    } while (take(','));
    return take(']') || wrong("an array without an end");
  }

  std::size_t digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ - begin;
  }

  // parse_decimal reads more than JSON allows ("1.", "nan", "01"), so the grammar is checked first.
  bool read_number(double& number, bool& is_whole) {
    const std::size_t begin = at_;
    if (peek() == '-') ++at_;
    const bool zero = peek() == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) return wrong("no value");
    is_whole = peek() != '.' && peek() != 'e' && peek() != 'E';
    if (peek() == '.') {
      ++at_;
      if (digits() == 0) return wrong("a number without digits");
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (digits() == 0) return wrong("a number without digits");
    }
    const std::optional<double> read = parse_decimal(std::string(text_.substr(begin, at_ - begin)));
    if (!read || !std::isfinite(*read)) return wrong("a number out of range");
    number = *read;
    return true;
  }

  std::optional<char32_t> hex4() {
    unsigned code = 0;
    const char* begin = text_.data() + at_;
    if (text_.size() - at_ < 4) return std::nullopt;
    const auto [end, status] = std::from_chars(begin, begin + 4, code, 16);
    if (status != std::errc{} || end != begin + 4) return std::nullopt;
    at_ += 4;
    return code;
  }

  // The second half of a surrogate pair makes a character of both.
  bool read_low_half(char32_t& code) {
    if (!text_.substr(at_).starts_with("\\u")) return false;
    at_ += 2;
    const auto low = hex4();
    if (code >= 0xDC00 || !low || *low < 0xDC00 || *low >= 0xE000) return false;
    code = 0x10000 + ((code - 0xD800) << 10) + (*low - 0xDC00);
    return true;
  }

  // After the backslash.
  bool read_escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const char name = peek();
    ++at_;
    if (name == 'u') {
      auto code = hex4();
      const bool half = code && *code >= 0xD800 && *code < 0xE000;
      if (!code || (half && !read_low_half(*code))) return wrong("a bad \\u escape");
      utf8::append(out, *code);
      return true;
    }
    const std::size_t index = name == '\0' ? std::string_view::npos : kNames.find(name);
    if (index == std::string_view::npos) return wrong("an unknown escape");
    out += kMeanings[index];
    return true;
  }

  bool read_string(std::string& out) {
    ++at_;  // the quote
    while (at_ < text_.size() && text_[at_] != '"') {
      const char c = text_[at_];
      if (static_cast<unsigned char>(c) < 0x20) return wrong("a control character in a string");
      ++at_;
      if (c != '\\') {
        out += c;
      } else if (!read_escape(out)) {
        return false;
      }
    }
    if (at_ >= text_.size()) return wrong("a string without an end");
    ++at_;
    return utf8::is_valid(out) || wrong("invalid UTF-8 in a string");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string problem_;
};

}  // namespace

const Value* Value::find(std::string_view key) const {
  const auto* members = as<std::vector<Member>>();
  if (members == nullptr) return nullptr;
  for (const Member& member : *members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

Result<Value> parse(std::string_view text) { return Parser(text).document(); }

std::string quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      out += std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

}  // namespace elrt::json
