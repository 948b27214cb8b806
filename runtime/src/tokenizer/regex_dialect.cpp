#include "tokenizer/regex_dialect.hpp"

#include <cstdio>
#include <optional>
#include <vector>

#include "base/utf8.hpp"
#include "tokenizer/regex_sets.hpp"

namespace elrt {
namespace {

constexpr int kMaxDepth = 100;          // of groups and classes in each other; PCRE2's own limit is 250
constexpr unsigned kMaxRepeat = 65535;  // PCRE2's; Oniguruma's is 100000
constexpr char32_t kEnd = 0xFFFFFFFF;   // what peek() gives at the end
constexpr const char* kAny = "(?s:.)";

bool is_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
char32_t to_lower(char32_t c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; }

int hex_value(char32_t c) {
  if (is_digit(c)) return static_cast<int>(c - '0');
  const char32_t low = to_lower(c);
  return low >= 'a' && low <= 'f' ? static_cast<int>(low - 'a' + 10) : -1;
}

std::string show(char32_t c) {
  std::string text;
  if (c != kEnd) utf8::append(text, c);
  return text;
}

std::string literal(char32_t c) {
  if (is_letter(c) || is_digit(c) || c >= 0x80) return show(c);
  char text[16];
  std::snprintf(text, sizeof text, "\\x{%X}", static_cast<unsigned>(c));
  return text;
}

// Neighbours that one character stands for where case is ignored: U+FB00 to U+FB06 and the sharp s.
bool folds_to_one(char32_t before, char32_t after) {
  return (before == 's' && (after == 's' || after == 't')) ||
         (before == 'f' && (after == 'f' || after == 'i' || after == 'l'));
}

struct Options {
  bool ignore_case = false;
  bool dot_matches_newline = false;
};

class Translator {
 public:
  Translator(std::string_view pattern, RegexUnicode unicode) : pattern_(pattern), unicode_(unicode) {}

  Result<std::string> translate() {
    alternatives({}, 0);
    if (failure_.empty() && peek() == ')') fail("a \")\" without \"(\"");
    if (failure_.empty()) return std::move(out_);
    return bad_data("tokenizer regex does not compile: " + failure_ + " is not supported, at byte " +
                    std::to_string(failed_at_) + " of: " + utf8::replace_invalid(pattern_.substr(0, 200)));
  }

 private:
  // The first failure counts; everything after it sees the end of the pattern.
  void fail(const std::string& what) {
    if (!failure_.empty()) return;
    failure_ = what;
    failed_at_ = at_;
    at_ = pattern_.size();
  }
  bool failed() const { return !failure_.empty(); }

  char32_t peek(std::size_t ahead = 0) const {  // ASCII look-ahead; the first character may be any
    if (at_ + ahead >= pattern_.size()) return kEnd;
    return ahead == 0 ? utf8::decode(pattern_.substr(at_)).code
                      : static_cast<char32_t>(static_cast<unsigned char>(pattern_[at_ + ahead]));
  }
  char32_t next() {
    if (at_ >= pattern_.size()) return kEnd;
    const utf8::Char c = utf8::decode(pattern_.substr(at_));
    at_ += c.size;
    return c.code;
  }
  bool take(std::string_view text) {
    if (!pattern_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  // Up to the ")" of the group, or the end.
  void alternatives(Options options, int depth) {
    if (depth > kMaxDepth) return fail("nesting deeper than " + std::to_string(kMaxDepth));
    before_ = 0;
    while (at_ < pattern_.size() && peek() != ')') {
      if (take("|")) {
        out_ += '|';
        before_ = 0;
        continue;
      }
      if (peek() == '(' && peek(1) == '?' && option_letter(peek(2))) {
        if (options_to_end(options, depth)) return;
        continue;
      }
      const std::size_t start = out_.size();
      if (atom(options, depth))
        quantifiers(start);
      else if (at_quantifier())
        return fail("a repeated anchor or look-around");
    }
  }

  static bool option_letter(char32_t c) { return is_letter(c) || c == '-'; }

  // (?imx-imx:...), or (?imx-imx) for all that follows in the group, its further alternatives included. True in the
  // second case: the group has been read.
  bool options_to_end(Options options, int depth) {
    at_ += 2;
    bool on = true;
    for (char32_t c = next();; c = next()) {
      if (c == '-' && on) {
        on = false;
      } else if (c == 'i') {
        options.ignore_case = on;
      } else if (c == 'm') {
        options.dot_matches_newline = on;
      } else if (c == 'x' && !on) {
        continue;
      } else if (c == ':' || c == ')') {
        const std::size_t start = out_.size();
        out_ += options.ignore_case ? "(?i:" : "(?-i:";
        alternatives(options, depth + 1);
        out_ += ')';
        if (c == ')') return true;
        close_group();
        quantifiers(start);
        return false;
      } else {
        fail("the option \"" + show(c) + "\" of \"(?\"");
        return true;
      }
    }
  }

  void close_group() {
    if (!take(")")) fail("a \"(\" without \")\"");
  }

  // Writes one atom. False for what takes no quantifier.
  bool atom(const Options& options, int depth) {
    const char32_t c = peek();
    switch (c) {
      case '(':
        return group(options, depth);
      case '[': {
        ++at_;
        const std::string text = char_class(options, depth + 1).expression();
        out_ += text;
        before_ = 0;
        return true;
      }
      case '.':
        ++at_;
        out_ += options.dot_matches_newline ? kAny : "\\N";
        before_ = 0;
        return true;
      case '^':
      case '$':
        ++at_;
        out_ += static_cast<char>(c);
        before_ = 0;
        return false;
      case '*':
      case '+':
      case '?':
        fail("a repetition of nothing");
        return false;
      case '\\':
        return escape(options);
      default:
        next();
        put_literal(c, options);
        return true;
    }
  }

  void put_literal(char32_t c, const Options& options) {
    if (options.ignore_case) {
      if (!regex_folds_alike(c)) return fail("\"" + show(c) + "\" without regard to case");
      const char32_t low = to_lower(c);
      if (folds_to_one(before_, low)) {
        return fail("\"" + show(before_) + show(low) + "\" without regard to case, which one character can stand for,");
      }
      before_ = low < 0x80 ? low : 0;
    } else {
      before_ = 0;
    }
    out_ += literal(c);
  }

  bool group(const Options& options, int depth) {
    if (take("(?#")) {
      while (at_ < pattern_.size() && peek() != ')') {
        if (next() == '\\') next();
      }
      close_group();
      return false;
    }
    bool look = false;
    std::string open = "(?:";
    if (take("(?<=") || take("(?<!") || take("(?=") || take("(?!")) {
      look = true;
      open = pattern_[at_ - 2] == '<' ? std::string("(?<") + pattern_[at_ - 1] : std::string("(?") + pattern_[at_ - 1];
    } else if (take("(?>")) {
      open = "(?>";
    } else if (take("(?<")) {
      if (!is_letter(peek()) && peek() != '_') {
        fail("\"(?<\" with \"" + show(peek()) + "\"");
        return false;
      }
      while (is_letter(peek()) || is_digit(peek()) || peek() == '_') ++at_;
      if (!take(">")) fail("this name of a group");
    } else if (take("(?:")) {
    } else if (pattern_.substr(at_).starts_with("(?") || pattern_.substr(at_).starts_with("(*")) {
      fail("\"" + std::string(pattern_.substr(at_, 2)) + show(static_cast<char32_t>(peek(2) < 0x80 ? peek(2) : '.')) +
           "\"");
      return false;
    } else {
      take("(");
    }
    out_ += open;
    alternatives(options, depth + 1);
    out_ += ')';
    close_group();
    return !look;
  }

  // The character that an escape stands for, after "\\"; none where it is something else.
  std::optional<char32_t> escaped_character() {
    const char32_t c = peek();
    switch (c) {
      case 't':
        ++at_;
        return '\t';
      case 'n':
        ++at_;
        return '\n';
      case 'r':
        ++at_;
        return '\r';
      case 'f':
        ++at_;
        return '\f';
      case 'v':
        ++at_;
        return '\v';
      case 'a':
        ++at_;
        return '\a';
      case 'e':
        ++at_;
        return 0x1B;
      case 'x':
        ++at_;
        return hex_character();
      case 'u':
        ++at_;
        return hex_digits(4, 4);
      default:
        break;
    }
    if (c == kEnd || (c < 0x80 && (is_letter(c) || is_digit(c)))) return std::nullopt;
    return next();
  }

  char32_t hex_character() {
    if (take("{")) {
      const char32_t value = hex_digits(1, 8);
      if (!take("}")) fail("this \"\\x{\"");
      return value;
    }
    const char32_t value = hex_digits(1, 2);
    if (value >= 0x80) fail("\"\\x\" for a single byte of a character");
    return value;
  }

  char32_t hex_digits(int least, int most) {
    char32_t value = 0;
    int count = 0;
    for (; count < most && peek() < 0x80 && hex_value(peek()) >= 0; ++count, ++at_)
      value = value * 16 + static_cast<char32_t>(hex_value(peek()));
    if (count < least) fail("a number of too few digits");
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      fail("a number that is no character");
      return 0;
    }
    return value;
  }

  // \d \W \p{...} and so on, after "\\". None where it is something else.
  std::optional<std::string> escaped_set(const Options& options, RegexSet* into) {
    const char32_t c = peek();
    RegexSet set;
    bool negated = is_letter(c) && to_lower(c) != c;
    switch (to_lower(c)) {
      case 'd':
        ++at_;
        set = regex_digit(unicode_);
        break;
      case 's':
        ++at_;
        set = regex_space();
        break;
      case 'w':
        ++at_;
        set = into != nullptr ? regex_word(unicode_) : regex_lone_word(unicode_);
        break;
      case 'h':
        ++at_;
        set = regex_hex_digit();
        break;
      case 'p': {
        ++at_;
        if (!take("{")) {
          fail("\"\\p\" without \"{\"");
          return std::nullopt;
        }
        if (take("^")) negated = !negated;
        const std::size_t end = pattern_.find('}', at_);
        const std::string name(pattern_.substr(at_, end == std::string_view::npos ? end : end - at_));
        const std::optional<RegexSet> property = regex_property(name, unicode_);
        if (!property || end == std::string_view::npos) {
          fail("the property \"" + name.substr(0, 50) + "\"");
          return std::nullopt;
        }
        at_ = end + 1;
        set = *property;
        break;
      }
      default:
        return std::nullopt;
    }
    if (options.ignore_case && set.cased) fail("this property without regard to case");
    if (into != nullptr) {
      if (negated)
        into->fragments.push_back(set.expression(true));
      else
        into->add(set);
      return std::string();
    }
    return set.expression(negated);
  }

  bool escape(const Options& options) {
    ++at_;
    const char32_t c = peek();
    if (anchor(c)) return false;
    if (c == 'N' || c == 'O' || c == 'R') {
      ++at_;
      out_ += c == 'N' ? "\\N" : c == 'O' ? kAny : "(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])";
      before_ = 0;
      return true;
    }
    if (const std::optional<std::string> set = escaped_set(options, nullptr)) {
      out_ += *set;
      before_ = 0;
      return true;
    }
    if (const std::optional<char32_t> character = escaped_character()) {
      put_literal(*character, options);
    } else {
      fail("\"\\" + show(c) + "\"");
    }
    return true;
  }

  // \A \z \Z \b \B, after "\\".
  bool anchor(char32_t c) {
    if (c != 'A' && c != 'z' && c != 'Z' && c != 'b' && c != 'B') return false;
    ++at_;
    before_ = 0;
    if (c != 'b' && c != 'B') {
      out_ += std::string("\\") + static_cast<char>(c);
      return true;
    }
    const std::string word = regex_lone_word(unicode_).expression();
    const char* same = c == 'b' ? "(?!" : "(?=";
    const char* other = c == 'b' ? "(?=" : "(?!";
    out_ += "(?:(?<=" + word + ")" + same + word + ")|(?<!" + word + ")" + other + word + "))";
    return true;
  }

  // After "[".
  RegexSet char_class(const Options& options, int depth) {
    RegexSet result;
    if (depth > kMaxDepth) {
      fail("nesting deeper than " + std::to_string(kMaxDepth));
      return result;
    }
    const bool negated = take("^");
    if (peek() == ']') fail("a class that begins with \"]\"");
    std::vector<std::string> parts;
    RegexSet part;
    while (!failed() && !take("]")) {
      if (at_ >= pattern_.size()) {
        fail("a \"[\" without \"]\"");
      } else if (take("&&")) {
        end_part(part, parts);
      } else {
        class_item(options, depth, part);
      }
    }
    if (failed()) return result;
    if (!parts.empty()) {
      end_part(part, parts);
      std::string all = "(?:";
      for (std::size_t i = 0; i + 1 < parts.size(); ++i) all += "(?=" + parts[i] + ")";
      part.fragments.push_back(all + parts.back() + ")");
    }
    if (!negated) return part;
    result.fragments.push_back(part.expression(true));
    return result;
  }

  void end_part(RegexSet& part, std::vector<std::string>& parts) {
    if (part.items.empty() && part.fragments.empty()) return fail("\"&&\" with nothing on one side");
    parts.push_back(part.expression());
    part = RegexSet();
  }

  // One character, range, escape or inner class.
  void class_item(const Options& options, int depth, RegexSet& part) {
    if (take("[:")) return posix_class(options, part);
    if (take("[")) return part.add(char_class(options, depth + 1));
    const bool plain_dash = peek() == '-';
    if (take("\\")) {
      if (escaped_set(options, &part)) {
        if (peek() == '-' && peek(1) != ']') fail("\"-\" after a set of characters");
        return;
      }
      --at_;
    }
    const std::optional<char32_t> first = class_character();
    if (!first) return;
    char32_t last = *first;
    if (peek() == '-' && peek(1) != ']' && peek(1) != kEnd) {
      if (plain_dash) return fail("a range that begins with \"-\"");
      ++at_;
      if (peek() == '[' || pattern_.substr(at_).starts_with("&&")) return fail("a range that ends in a set");
      const std::optional<char32_t> end = class_character();
      if (!end) return;
      if (*end < *first) return fail("a range whose end is before its start");
      last = *end;
      if (peek() == '-' && peek(1) != ']') return fail("\"-\" after a range");
    }
    const RegexSet set = regex_set_of(*first, last);
    if (options.ignore_case && set.cased) return fail("a range above U+007F without regard to case");
    part.add(set);
  }

  std::optional<char32_t> class_character() {
    if (!take("\\")) {
      const char32_t c = next();
      if (c == kEnd) fail("a \"[\" without \"]\"");
      return failed() ? std::nullopt : std::optional(c);
    }
    if (take("b")) return '\b';
    const char32_t c = peek();
    const std::optional<char32_t> escaped = escaped_character();
    if (!escaped) fail("\"\\" + show(c) + "\" in a class");
    return failed() ? std::nullopt : escaped;
  }

  void posix_class(const Options& options, RegexSet& part) {
    const bool negated = take("^");
    const std::size_t end = pattern_.find(":]", at_);
    const std::string name(pattern_.substr(at_, end == std::string_view::npos ? end : end - at_));
    const std::optional<RegexSet> set = regex_posix_class(name, unicode_);
    if (!set || end == std::string_view::npos) return fail("the class \"[:" + name.substr(0, 50) + ":]\"");
    if (options.ignore_case && set->cased) return fail("\"[:" + name + ":]\" without regard to case");
    at_ = end + 2;
    if (negated)
      part.fragments.push_back(set->expression(true));
    else
      part.add(*set);
  }

  bool at_quantifier() {
    const char32_t c = peek();
    if (c == '*' || c == '+' || c == '?') return true;
    const std::size_t before = at_;
    const bool is_interval = interval().has_value();
    at_ = before;
    return is_interval;
  }

  // {n}, {n,}, {n,m} or {,m} in PCRE2's words; none, and nothing taken, where it is other text.
  std::optional<std::string> interval() {
    const std::size_t before = at_;
    if (!take("{")) return std::nullopt;
    const auto number = [&]() -> std::optional<unsigned> {
      if (!is_digit(peek())) return std::nullopt;
      unsigned value = 0;
      for (; is_digit(peek()); ++at_)
        value = std::min(value * 10 + static_cast<unsigned>(peek() - '0'), kMaxRepeat + 1);
      return value;
    };
    const std::optional<unsigned> least = number();
    const bool comma = take(",");
    const std::optional<unsigned> most = comma ? number() : least;
    if ((!least && !most) || !take("}")) {
      at_ = before;
      return std::nullopt;
    }
    if (least.value_or(0) > kMaxRepeat || most.value_or(0) > kMaxRepeat || (most && least.value_or(0) > *most)) {
      fail("this number of repetitions");
      return std::nullopt;
    }
    return "{" + std::to_string(least.value_or(0)) + (comma ? "," : "") + (comma && most ? std::to_string(*most) : "") +
           "}";
  }

  // After an atom that was written from `start` on.
  void quantifiers(std::size_t start) {
    const char32_t c = peek();
    if (c == '*' || c == '+' || c == '?') {
      ++at_;
      out_ += static_cast<char>(c);
      if (take("?"))
        out_ += '?';
      else if (take("+"))
        out_ += '+';
    } else {
      const std::size_t begin = at_;
      const std::optional<std::string> times = interval();
      if (!times) return;
      out_ += *times;
      if (take("?")) {
        if (times->find(',') == std::string::npos) {
          at_ = begin;
          return fail("\"{n}?\"");
        }
        out_ += '?';
      } else if (take("+")) {  // no possessive form: repeats the repetition
        out_.insert(start, "(?:");
        out_ += ")+";
      }
    }
    before_ = 0;
    if (at_quantifier()) fail("a repetition of a repetition");
  }

  std::string_view pattern_;
  RegexUnicode unicode_;
  std::size_t at_ = 0;
  std::string out_;
  char32_t before_ = 0;  // the letter just written where case is ignored; 0: something else
  std::string failure_;
  std::size_t failed_at_ = 0;
};

}  // namespace

Result<std::string> pcre2_from_oniguruma(std::string_view pattern, RegexUnicode unicode) {
  return Translator(pattern, unicode).translate();
}

}  // namespace elrt
