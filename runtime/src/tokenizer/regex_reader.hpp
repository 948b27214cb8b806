// Walks over a regular expression, character by character, and keeps what is wrong with it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace elrt {

class RegexReader {
 public:
  static constexpr char32_t kEnd = 0xFFFFFFFF;
  static constexpr int kMaxDepth = 100;  // of groups and classes in each other; PCRE2's own limit is 250

  explicit RegexReader(std::string_view pattern) : pattern_(pattern) {}  // valid UTF-8

  // The first failure counts; after it the reader stands at the end. `what` reads on "... is not supported".
  void fail(const std::string& what);
  bool failed() const { return !failure_.empty(); }
  std::string failure() const;  // with the place and the pattern

  std::size_t at() const { return at_; }
  void go_to(std::size_t at) { at_ = failed() ? pattern_.size() : at; }
  bool at_end() const { return at_ >= pattern_.size(); }

  char32_t peek() const;                        // the next character, or kEnd
  char32_t peek_byte(std::size_t ahead) const;  // enough to look for ASCII
  char32_t next();                              // takes it
  bool take(std::string_view text);             // where it stands here
  bool at_text(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  // What stands before the next `end`, which is taken too; none, and nothing taken, where there is no such end.
  std::optional<std::string> take_until(std::string_view end);
  std::optional<unsigned> take_number(unsigned limit);  // decimal digits; what exceeds `limit` is limit + 1

  // After a backslash: the character that \n, \x{...}, \. and so on stand for; none where it is something else.
  std::optional<char32_t> take_escaped_character();

 private:
  char32_t hex_digits(int least, int most);
  char32_t hex_character();

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::string failure_;
  std::size_t failed_at_ = 0;
};

// ASCII only.
inline bool regex_is_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
inline bool regex_is_digit(char32_t c) { return c >= '0' && c <= '9'; }
inline char32_t regex_lower(char32_t c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; }
std::string regex_show(char32_t c);  // for messages; empty for kEnd

}  // namespace elrt
