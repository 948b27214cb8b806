#include "jinja/lexer.hpp"

#include <algorithm>
#include <array>

#include "base/utf8.hpp"
#include "jinja/value.hpp"

namespace elrt::jinja {
namespace {

constexpr std::string_view kSpace = " \t\n\r\v\f";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

std::string normal_newlines(std::string_view source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    put(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  void put(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  [[noreturn]] void fail(const std::string& what) const { throw Refusal{what, Refusal::Kind::kTemplate, line_}; }
  bool ahead(std::string_view text) const { return std::string_view(source_).substr(at_).starts_with(text); }
  void advance(std::size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }
  void skip_space() { advance(std::min(source_.find_first_not_of(kSpace, at_), source_.size())); }
  char peek(std::size_t more = 0) const { return at_ + more < source_.size() ? source_[at_ + more] : '\0'; }

  std::size_t next_tag() const {
    for (std::size_t at = source_.find('{', at_); at != std::string::npos; at = source_.find('{', at + 1)) {
      const char kind = at + 1 < source_.size() ? source_[at + 1] : '\0';
      if (kind == '{' || kind == '%' || kind == '#') return at;
    }
    return std::string::npos;
  }

  // The text up to the next tag, and the tag.
  void text() {
    const std::size_t tag = next_tag(), end = std::min(tag, source_.size());
    std::string shown = source_.substr(at_, end - at_);
    const char kind = tag == std::string::npos ? '\0' : source_[tag + 1];
    const char sign = tag + 2 < source_.size() && tag != std::string::npos ? source_[tag + 2] : '\0';
    if (sign == '-') {
      shown.erase(shown.find_last_not_of(kSpace) + 1);
    } else if (sign != '+' && (kind == '%' || kind == '#')) {
      const std::size_t newline = shown.rfind('\n');
      const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
      const bool starts_line = newline != std::string::npos || line_starting_;
      if (starts_line && shown.find_first_not_of(kSpace, begin) == std::string::npos) shown.erase(begin);
    }
    if (!shown.empty()) put(Token::Kind::kText, std::move(shown));
    advance(end);
    if (tag == std::string::npos) return;
    advance(at_ + (sign == '-' || sign == '+' ? 3 : 2));
    if (kind == '#') return comment();
    put(kind == '{' ? Token::Kind::kVariableBegin : Token::Kind::kBlockBegin, "");
    inside(kind == '{' ? '}' : '%');
  }

  // After a tag's end: `-` takes all white space with it, `trim` one newline.
  void after_end(bool minus, bool trim) {
    const std::size_t before = at_;
    if (minus)
      skip_space();
    else if (trim && peek() == '\n')
      advance(at_ + 1);
    line_starting_ = at_ > before && source_[at_ - 1] == '\n';
  }

  void comment() {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail("a comment without end");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    advance(end + 2);
    after_end(sign == '-', sign != '+');
  }

  // A tag's contents up to its end, `close` and a brace.
  void inside(char close) {
    std::string open;  // brackets
    for (;;) {
      skip_space();
      if (at_ >= source_.size()) fail("a tag without end");
      const std::string end = {close, '}'};
      if (open.empty() && (ahead(end) || ahead("-" + end) || (close == '%' && ahead("+" + end)))) {
        const char sign = peek();
        put(close == '}' ? Token::Kind::kVariableEnd : Token::Kind::kBlockEnd, "");
        advance(at_ + (sign == close ? 2 : 3));
        return after_end(sign == '-', close == '%' && sign != '+');
      }
      if (tokens_.size() > kMaxTokens) fail("too long a template");
      one_token(open);
    }
  }

  void one_token(std::string& open) {
    const char c = peek();
    if (c == '\'' || c == '"') return string(c);
    if (is_digit(c)) return number();
    if (is_name_start(c)) {
      std::size_t end = at_;
      while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
      put(Token::Kind::kName, source_.substr(at_, end - at_));
      return advance(end);
    }
    static constexpr std::array<std::string_view, 7> kLong = {"//", "**", "==", "!=", ">=", "<=", "->"};
    for (const std::string_view name : kLong) {
      if (!ahead(name)) continue;
      put(Token::Kind::kOperator, std::string(name));
      return advance(at_ + 2);
    }
    if (std::string_view("+-/*%~[](){}<>=.:|,;").find(c) == std::string_view::npos) {
      const std::size_t size = utf8::decode(std::string_view(source_).substr(at_)).size;
      fail("an unexpected character \"" + source_.substr(at_, size) + "\"");
    }
    bracket(c, open);
    put(Token::Kind::kOperator, std::string(1, c));
    advance(at_ + 1);
  }

  void bracket(char c, std::string& open) {
    const std::size_t opens = std::string_view("([{").find(c), closes = std::string_view(")]}").find(c);
    if (opens != std::string_view::npos) open += ")]}"[opens];
    if (closes == std::string_view::npos) return;
    if (open.empty() || open.back() != c) fail(std::string("an unexpected \"") + c + "\"");
    open.pop_back();
  }

  void number() {
    std::size_t end = at_;
    const auto digits = [&] {
      while (end < source_.size() && (is_digit(source_[end]) || source_[end] == '_')) ++end;
    };
    digits();
    bool real = false;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) real = true, ++end, digits();
    if (end + 1 < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      std::size_t exponent = end + 1;
      if (source_[exponent] == '+' || source_[exponent] == '-') ++exponent;
      if (exponent < source_.size() && is_digit(source_[exponent])) real = true, end = exponent, digits();
    }
    if (end < source_.size() && is_name_start(source_[end])) fail("a number that ends in letters");
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    put(real ? Token::Kind::kFloat : Token::Kind::kInteger, std::move(text));
    advance(end);
  }

  char32_t hex(std::size_t& at, std::size_t digits) const {
    char32_t code = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at) {
      const char c = at < source_.size() ? source_[at] : '\0';
      const std::size_t value = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
      if (value == std::string_view::npos) fail("a broken escape in a string");
      code = code * 16 + static_cast<char32_t>(value);
    }
    return code;
  }

  // One escape of Python's string literals, `at` after the backslash. Unknown ones stay as they are.
  void escape(std::size_t& at, std::string& value) const {
    const char c = source_[at++];
    constexpr std::string_view kNames = "\\'\"abfnrtv", kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t name = kNames.find(c); name != std::string_view::npos) {
      value += kMeanings[name];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const char32_t code = hex(at, c == 'x' ? 2 : c == 'u' ? 4 : 8);
      if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) fail("an escape of no character in a string");
      utf8::append(value, code);
    } else if (c == 'N' || is_digit(c)) {
      fail(std::string("the escape \\") + c + " is not supported");
    } else if (c != '\n') {  // an escaped line end is nothing
      value += '\\';
      value += c;
    }
  }

  void string(char quote) {
    std::string value;
    std::size_t at = at_ + 1;
    while (at < source_.size() && source_[at] != quote) {
      if (source_[at] == '\\' && at + 1 < source_.size())
        escape(++at, value);
      else
        value += source_[at++];
    }
    if (at >= source_.size()) fail("a string without end");
    put(Token::Kind::kString, std::move(value));
    advance(at + 1);
  }

  static constexpr std::size_t kMaxTokens = 200'000;
  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenise(std::string_view source) { return Lexer(normal_newlines(source)).run(); }

}  // namespace elrt::jinja
