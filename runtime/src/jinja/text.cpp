#include "jinja/text.hpp"

#include <utf8proc.h>

#include "base/utf8.hpp"

namespace elrt::jinja {
namespace {

bool in_set(std::string_view set, std::string_view character) {
  for (std::size_t at = 0; at < set.size();) {
    const std::size_t size = utf8::decode(set.substr(at)).size;
    if (set.substr(at, size) == character) return true;
    at += size;
  }
  return false;
}

bool stripped(std::string_view text, std::size_t at, std::size_t size, const std::string* characters) {
  if (characters != nullptr) return in_set(*characters, text.substr(at, size));
  return is_space(utf8::decode(text.substr(at, size)).code);
}

std::size_t step_back(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

bool is_letter(char32_t code) {
  const auto kind = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL || kind == UTF8PROC_CATEGORY_LT;
}

}  // namespace

bool is_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

std::vector<std::size_t> character_starts(const Text& text) {
  std::vector<std::size_t> starts;
  starts.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); at += utf8::decode(text.view().substr(at)).size) starts.push_back(at);
  return starts;
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

Text strip(const Text& text, const std::string* characters, bool left, bool right) {
  const std::string_view all = text.bytes;
  std::size_t begin = 0, end = all.size();
  while (left && begin < end) {
    const std::size_t size = utf8::decode(all.substr(begin)).size;
    if (!stripped(all, begin, size, characters)) break;
    begin += size;
  }
  while (right && end > begin) {
    const std::size_t at = step_back(all, end);
    if (!stripped(all, at, end - at, characters)) break;
    end = at;
  }
  return text.part(begin, end - begin);
}

std::vector<Text> split(const Text& text, std::string_view separator, std::size_t most) {
  std::vector<Text> parts;
  std::size_t begin = 0;
  for (std::size_t at; parts.size() < most && (at = text.bytes.find(separator, begin)) != std::string::npos;) {
    parts.push_back(text.part(begin, at - begin));
    begin = at + separator.size();
  }
  parts.push_back(text.part(begin));
  return parts;
}

std::vector<Text> split_from_right(const Text& text, std::string_view separator, std::size_t most) {
  std::vector<Text> parts;
  std::size_t end = text.size();
  while (parts.size() < most && end >= separator.size()) {
    const std::size_t at = text.bytes.rfind(separator, end - separator.size());
    if (at == std::string::npos) break;
    parts.insert(parts.begin(), text.part(at + separator.size(), end - at - separator.size()));
    end = at;
  }
  parts.insert(parts.begin(), text.part(0, end));
  return parts;
}

std::vector<Text> split_at_space(const Text& text, std::size_t most) {
  std::vector<Text> words;
  Text rest = strip(text, nullptr, true, false);
  while (!rest.empty() && words.size() < most) {
    std::size_t end = 0;
    while (end < rest.size()) {
      const utf8::Char c = utf8::decode(rest.view().substr(end));
      if (is_space(c.code)) break;
      end += c.size;
    }
    words.push_back(rest.part(0, end));
    rest = strip(rest.part(end), nullptr, true, false);
  }
  if (!rest.empty()) words.push_back(rest);  // as it is, space at its end too
  return words;
}

std::vector<Text> split_lines(const Text& text) {
  std::vector<Text> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.bytes.find_first_of("\n\r", begin);
    if (end == std::string::npos) end = text.size();
    lines.push_back(text.part(begin, end - begin));
    begin = end + (text.bytes.compare(end, 2, "\r\n") == 0 ? 2 : 1);
  }
  return lines;
}

Text replace(const Text& text, const Text& old, const Text& fresh, std::size_t most) {
  Text out;
  std::size_t begin = 0;
  if (old.empty()) {  // between all characters, as Python has it
    for (const std::size_t start : character_starts(text)) {
      if (most == 0) break;
      out += text.part(begin, start - begin);
      out += fresh;
      begin = start, --most;
    }
    out += text.part(begin);
    if (most > 0) out += fresh;
    return out;
  }
  for (std::size_t at; most > 0 && (at = text.bytes.find(old.bytes, begin)) != std::string::npos; --most) {
    out += text.part(begin, at - begin);
    out += fresh;
    begin = at + old.size();
  }
  out += text.part(begin);
  return out;
}

Text change_case(const Text& text, Case to) {
  Text out;
  bool word = false;  // the character before was a letter
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Char c = utf8::decode(text.view().substr(at));
    const bool upper = to == Case::kUpper || (to == Case::kTitle && !word) || (to == Case::kCapital && at == 0);
    const auto code = static_cast<utf8proc_int32_t>(c.code);
    std::string changed;
    utf8::append(changed, static_cast<char32_t>(upper ? utf8proc_toupper(code) : utf8proc_tolower(code)));
    out.append(changed, text.marks[at]);
    word = is_letter(c.code);
    at += c.size;
  }
  return out;
}

}  // namespace elrt::jinja
