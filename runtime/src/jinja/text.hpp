// A string whose bytes remember where they come from: the template itself, or the messages that fill it. Names of
// control tokens count in the template's own text only, whatever a template does with a message on the way.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elrt::jinja {

struct Text {
  std::string bytes;  // UTF-8
  std::string marks;  // one per byte: kOwn or kForeign

  static constexpr char kOwn = 0, kForeign = 1;

  Text() = default;
  explicit Text(std::string text, char mark = kOwn) : bytes(std::move(text)), marks(bytes.size(), mark) {}

  std::size_t size() const { return bytes.size(); }
  bool empty() const { return bytes.empty(); }
  std::string_view view() const { return bytes; }
  Text part(std::size_t begin, std::size_t size = std::string::npos) const {
    Text out;
    out.bytes = bytes.substr(begin, size), out.marks = marks.substr(begin, size);
    return out;
  }
  Text& operator+=(const Text& other) {
    bytes += other.bytes, marks += other.marks;
    return *this;
  }
  // `text`, marked as one byte of this one is.
  void append(std::string_view text, char mark) { bytes += text, marks.append(text.size(), mark); }
};

// As Python's str methods do. Characters are code points.
bool is_space(char32_t code);  // str.isspace
std::vector<std::size_t> character_starts(const Text& text);
Text strip(const Text& text, const std::string* characters, bool left, bool right);  // nullptr: white space
std::vector<Text> split(const Text& text, std::string_view separator, std::size_t most);
std::vector<Text> split_at_space(const Text& text, std::size_t most);
std::vector<Text> split_from_right(const Text& text, std::string_view separator, std::size_t most);
std::vector<Text> split_lines(const Text& text);  // at \n, \r and \r\n
Text replace(const Text& text, const Text& old, const Text& fresh, std::size_t most);
enum class Case { kUpper, kLower, kTitle, kCapital };
Text change_case(const Text& text, Case to);
std::size_t count_characters(std::string_view text);

}  // namespace elrt::jinja
