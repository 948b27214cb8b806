#include "tokenizer/regex_dialect.hpp"

#include <cstdio>
#include <optional>

#include "tokenizer/regex_class.hpp"
#include "tokenizer/regex_reader.hpp"

namespace elrt {
namespace {

constexpr unsigned kMaxRepeat = 65535;  // PCRE2's; Oniguruma's is 100000
constexpr const char* kAny = "(?s:.)";
constexpr const char* kLineBreak = "(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])";

std::string literal(char32_t c) {
  if (regex_is_letter(c) || regex_is_digit(c) || c >= 0x80) return regex_show(c);
  char text[16];
  std::snprintf(text, sizeof text, "\\x{%X}", static_cast<unsigned>(c));
  return text;
}

// Neighbours that one character stands for where case is ignored: U+FB00 to U+FB06 and the sharp s.
bool folds_to_one(char32_t before, char32_t after) {
  return (before == 's' && (after == 's' || after == 't')) ||
         (before == 'f' && (after == 'f' || after == 'i' || after == 'l'));
}

bool is_option(char32_t c) { return regex_is_letter(c) || c == '-'; }

class Translator {
 public:
  explicit Translator(std::string_view pattern) : reader_(pattern) {}

  Result<std::string> translate(RegexUnicode unicode) {
    RegexOptions options;
    options.unicode = unicode;
    alternatives(options, 0);
    if (!reader_.at_end()) reader_.fail("a \")\" without \"(\"");
    if (reader_.failed()) return bad_data("tokenizer regex does not compile: " + reader_.failure());
    return std::move(out_);
  }

 private:
  // Up to the ")" of the group, or the end.
  void alternatives(const RegexOptions& options, int depth) {
    if (depth > RegexReader::kMaxDepth)
      return reader_.fail("nesting deeper than " + std::to_string(RegexReader::kMaxDepth));
    while (!reader_.at_end() && reader_.peek() != ')') {
      if (reader_.take("|")) {
        put("|");
      } else if (reader_.at_text("(?") && is_option(reader_.peek_byte(2))) {
        if (options_to_end(options, depth)) return;
      } else {
        const std::size_t start = out_.size();
        if (atom(options, depth))
          quantifiers(start);
        else if (at_quantifier())
          reader_.fail("a repeated anchor or look-around");
      }
    }
  }

  // (?imx-imx:...), or (?imx-imx) for all that follows in the group, its further alternatives included. True in the
  // second case: the group has been read.
  bool options_to_end(RegexOptions options, int depth) {
    reader_.take("(?");
    bool on = true;
    char32_t c = reader_.next();
    for (; c != ':' && c != ')'; c = reader_.next()) {
      if (c == '-' && on) {
        on = false;
      } else if (c == 'i') {
        options.ignore_case = on;
      } else if (c == 'm') {
        options.dot_matches_newline = on;
      } else if (c != 'x' || on) {
        reader_.fail("the option \"" + regex_show(c) + "\" of \"(?\"");
        return true;
      }
    }
    const std::size_t start = out_.size();
    out_ += options.ignore_case ? "(?i:" : "(?-i:";
    alternatives(options, depth + 1);
    out_ += ')';
    if (c == ')') return true;
    close_group();
    quantifiers(start);
    return false;
  }

  void close_group() {
    if (!reader_.take(")")) reader_.fail("a \"(\" without \")\"");
  }

  // What ends a run of letters for folds_to_one().
  void put(const std::string& text) {
    out_ += text;
    before_ = 0;
  }

  // Writes one atom. False for what takes no quantifier.
  bool atom(const RegexOptions& options, int depth) {
    const char32_t c = reader_.peek();
    if (c == '(') return group(options, depth);
    reader_.next();
    switch (c) {
      case '[':
        put_set(read_class(reader_, options, depth + 1), false);
        return true;
      case '.':
        put(options.dot_matches_newline ? kAny : "\\N");
        return true;
      case '^':
      case '$':
        put(regex_show(c));
        return false;
      case '*':
      case '+':
      case '?':
        reader_.fail("a repetition of nothing");
        return false;
      case '\\':
        return escape(options);
      default:
        put_literal(c, options);
        return true;
    }
  }

  void put_set(const RegexSet& set, bool negated) {
    if (!reader_.failed()) put(set.expression(negated));
  }

  void put_literal(char32_t c, const RegexOptions& options) {
    const char32_t low = regex_lower(c);
    if (options.ignore_case && !regex_folds_alike(c))
      return reader_.fail("\"" + regex_show(c) + "\" without regard to case");
    if (options.ignore_case && folds_to_one(before_, low))
      return reader_.fail("\"" + regex_show(before_) + regex_show(low) +
                          "\" without regard to case, which one character can stand for,");
    put(literal(c));
    if (options.ignore_case && c < 0x80) before_ = low;
  }

  bool group(const RegexOptions& options, int depth) {
    if (reader_.take("(?#")) {
      while (!reader_.at_end() && reader_.peek() != ')') {
        if (reader_.next() == '\\') reader_.next();
      }
      close_group();
      return false;
    }
    const char* open = "(?:";
    bool look = false;
    for (const char* around : {"(?<=", "(?<!", "(?=", "(?!"}) {
      if (look || !reader_.take(around)) continue;
      open = around;
      look = true;
    }
    if (!look && reader_.take("(?>"))
      open = "(?>";
    else if (!look)
      plain_group();
    out_ += open;
    alternatives(options, depth + 1);
    out_ += ')';
    close_group();
    return !look;
  }

  // The beginning of a group that matches what it holds: nothing captures, since nothing refers back.
  void plain_group() {
    if (reader_.take("(?:")) return;
    const char32_t kind = reader_.peek_byte(2);
    if (reader_.at_text("(?<") && (regex_is_letter(reader_.peek_byte(3)) || reader_.peek_byte(3) == '_')) {
      reader_.take("(?<");
      while (regex_is_letter(reader_.peek()) || regex_is_digit(reader_.peek()) || reader_.peek() == '_') reader_.next();
      if (!reader_.take(">")) reader_.fail("this name of a group");
    } else if (reader_.at_text("(?") || reader_.at_text("(*")) {
      const char32_t second = reader_.peek_byte(1);
      reader_.fail("\"(" + regex_show(second) + (kind < 0x80 ? regex_show(kind) : "") + "\"");
    } else {
      reader_.take("(");
    }
  }

  // After a backslash. False for what takes no quantifier.
  bool escape(const RegexOptions& options) {
    const char32_t c = reader_.peek();
    if (c == 'A' || c == 'z' || c == 'Z' || c == 'b' || c == 'B') {
      reader_.next();
      put(c == 'b' || c == 'B' ? word_boundary(c == 'b', options.unicode) : "\\" + regex_show(c));
      return false;
    }
    if (c == 'N' || c == 'O' || c == 'R') {
      reader_.next();
      put(c == 'N' ? "\\N" : c == 'O' ? kAny : kLineBreak);
      return true;
    }
    if (const auto set = read_escaped_set(reader_, options, false)) {
      put_set(set->set, set->negated);
      return true;
    }
    if (const std::optional<char32_t> character = reader_.take_escaped_character())
      put_literal(*character, options);
    else
      reader_.fail("\"\\" + regex_show(c) + "\"");
    return true;
  }

  static std::string word_boundary(bool boundary, RegexUnicode unicode) {
    const std::string word = regex_lone_word(unicode).expression();
    const char* after_word = boundary ? "(?!" : "(?=";
    const char* after_other = boundary ? "(?=" : "(?!";
    return "(?:(?<=" + word + ")" + after_word + word + ")|(?<!" + word + ")" + after_other + word + "))";
  }

  bool at_quantifier() {
    const char32_t c = reader_.peek();
    if (c == '*' || c == '+' || c == '?') return true;
    const std::size_t before = reader_.at();
    const bool is_interval = interval().has_value();
    reader_.go_to(before);
    return is_interval;
  }

  // {n}, {n,}, {n,m} or {,m} in PCRE2's words; none, and nothing taken, where it is other text.
  std::optional<std::string> interval() {
    const std::size_t before = reader_.at();
    if (!reader_.take("{")) return std::nullopt;
    const std::optional<unsigned> least = reader_.take_number(kMaxRepeat);
    const bool comma = reader_.take(",");
    const std::optional<unsigned> most = comma ? reader_.take_number(kMaxRepeat) : least;
    if ((!least && !most) || !reader_.take("}")) {
      reader_.go_to(before);
      return std::nullopt;
    }
    const unsigned from = least.value_or(0);
    if (from > kMaxRepeat || most.value_or(0) > kMaxRepeat || (most && from > *most)) {
      reader_.fail("this number of repetitions");
      return std::nullopt;
    }
    return "{" + std::to_string(from) + (comma ? "," : "") + (comma && most ? std::to_string(*most) : "") + "}";
  }

  // After an atom that was written from `start` on.
  void quantifiers(std::size_t start) {
    const char32_t c = reader_.peek();
    if (c == '*' || c == '+' || c == '?') {
      reader_.next();
      put(regex_show(c));
      if (reader_.take("?"))
        out_ += '?';
      else if (reader_.take("+"))
        out_ += '+';
    } else {
      const std::optional<std::string> times = interval();
      if (!times) return;
      if (*times == "{1}")  // as if it were not there, to the neighbours too
        out_ += *times;
      else
        put(*times);
      if (reader_.take("?")) {
        if (times->find(',') == std::string::npos) return reader_.fail("\"{n}?\"");
        out_ += '?';
      } else if (reader_.take("+")) {  // no possessive form: repeats the repetition
        out_.insert(start, "(?:");
        out_ += ")+";
      }
    }
    if (at_quantifier()) reader_.fail("a repetition of a repetition");
  }

  RegexReader reader_;
  std::string out_;
  char32_t before_ = 0;  // the letter just written where case is ignored; 0: something else
};

}  // namespace

Result<std::string> pcre2_from_oniguruma(std::string_view pattern, RegexUnicode unicode) {
  return Translator(pattern).translate(unicode);
}

}  // namespace elrt
