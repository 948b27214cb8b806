#include "tokenizer/regex_class.hpp"

#include <string>
#include <vector>

namespace elrt {
namespace {

std::optional<RegexSet> read_property(RegexReader& reader, const RegexOptions& options, bool& negated) {
  if (!reader.take("{")) {
    reader.fail("\"\\p\" without \"{\"");
    return std::nullopt;
  }
  if (reader.take("^")) negated = !negated;
  const std::size_t begin = reader.at();
  const std::string name = reader.take_until("}").value_or("");
  std::optional<RegexSet> set = regex_property(name, options.unicode);
  if (!set) {
    reader.go_to(begin);
    reader.fail("the property \"" + name.substr(0, 50) + "\"");
  }
  return set;
}

void add(const RegexSet& set, bool negated, RegexSet& part) {
  if (negated)
    part.fragments.push_back(set.expression(true));
  else
    part.add(set);
}

class ClassReader {
 public:
  ClassReader(RegexReader& reader, const RegexOptions& options, int depth)
      : reader_(reader), options_(options), depth_(depth) {}

  RegexSet read() {
    if (depth_ > RegexReader::kMaxDepth) reader_.fail("nesting deeper than " + std::to_string(RegexReader::kMaxDepth));
    const bool negated = reader_.take("^");
    if (reader_.peek() == ']') reader_.fail("a class that begins with \"]\"");
    while (!reader_.failed() && !reader_.take("]")) {
      if (reader_.at_end())
        reader_.fail("a \"[\" without \"]\"");
      else if (reader_.take("&&"))
        end_part();
      else
        item();
    }
    if (!parts_.empty()) intersect();
    if (reader_.failed()) return {};
    RegexSet result;
    add(part_, negated, result);
    return result;
  }

 private:
  // At "&&": what stands before it is one side.
  void end_part() {
    if (part_.items.empty() && part_.fragments.empty()) return reader_.fail("\"&&\" with nothing on one side");
    parts_.push_back(part_.expression());
    part_ = RegexSet();
  }

  void intersect() {
    end_part();
    if (reader_.failed()) return;
    std::string all = "(?:";
    for (std::size_t i = 0; i + 1 < parts_.size(); ++i) all += "(?=" + parts_[i] + ")";
    part_.fragments.push_back(all + parts_.back() + ")");
  }

  // One character, range, escape or inner class.
  void item() {
    if (reader_.take("[:")) return posix_class();
    if (reader_.take("[")) return part_.add(ClassReader(reader_, options_, depth_ + 1).read());
    if (reader_.take("\\")) {
      if (const auto escape = read_escaped_set(reader_, options_, true)) {
        if (range_follows()) return reader_.fail("\"-\" after a set of characters");
        return add(escape->set, escape->negated, part_);
      }
      if (reader_.failed()) return;
      reader_.go_to(reader_.at() - 1);
    }
    range();
  }

  bool range_follows() const { return reader_.peek() == '-' && reader_.peek_byte(1) != ']'; }

  void range() {
    const bool dash = reader_.peek() == '-';
    const char32_t first = character();
    char32_t last = first;
    if (range_follows() && reader_.peek_byte(1) != RegexReader::kEnd) {
      if (dash) return reader_.fail("a range that begins with \"-\"");
      reader_.next();
      if (reader_.peek() == '[' || reader_.at_text("&&")) return reader_.fail("a range that ends in a set");
      last = character();
      if (last < first) return reader_.fail("a range whose end is before its start");
      if (range_follows()) return reader_.fail("\"-\" after a range");
    }
    if (reader_.failed()) return;
    const RegexSet set = regex_set_of(first, last);
    if (options_.ignore_case && set.cased) return reader_.fail("a range above U+007F without regard to case");
    part_.add(set);
  }

  char32_t character() {
    if (!reader_.take("\\")) {
      const char32_t c = reader_.next();
      if (c == RegexReader::kEnd) reader_.fail("a \"[\" without \"]\"");
      return c;
    }
    if (reader_.take("b")) return '\b';
    const char32_t c = reader_.peek();
    const std::optional<char32_t> escaped = reader_.take_escaped_character();
    if (!escaped) reader_.fail("\"\\" + regex_show(c) + "\" in a class");
    return escaped.value_or(0);
  }

  // After "[:".
  void posix_class() {
    const bool negated = reader_.take("^");
    const std::size_t begin = reader_.at();
    const std::string name = reader_.take_until(":]").value_or("");
    const std::optional<RegexSet> set = regex_posix_class(name, options_.unicode);
    const bool blind = set && options_.ignore_case && set->cased;
    if (set && !blind) return add(*set, negated, part_);
    reader_.go_to(begin);
    reader_.fail("the class \"[:" + name.substr(0, 50) + ":]\"" + (blind ? " without regard to case" : ""));
  }

  RegexReader& reader_;
  const RegexOptions& options_;
  const int depth_;
  RegexSet part_;                   // since the last "&&"
  std::vector<std::string> parts_;  // before it, as expressions
};

}  // namespace

std::optional<RegexEscape> read_escaped_set(RegexReader& reader, const RegexOptions& options, bool in_class) {
  const char32_t c = reader.peek();
  RegexEscape escape;
  escape.negated = regex_lower(c) != c;
  switch (regex_lower(c)) {
    case 'd':
      escape.set = regex_digit(options.unicode);
      break;
    case 's':
      escape.set = regex_space();
      break;
    case 'w':
      escape.set = in_class ? regex_word(options.unicode) : regex_lone_word(options.unicode);
      break;
    case 'h':
      escape.set = regex_hex_digit();
      break;
    case 'p': {
      reader.next();
      const std::optional<RegexSet> property = read_property(reader, options, escape.negated);
      if (!property) return std::nullopt;
      escape.set = *property;
      break;
    }
    default:
      return std::nullopt;
  }
  if (regex_lower(c) != 'p') reader.next();
  if (options.ignore_case && escape.set.cased) {
    reader.fail("this property without regard to case");
    return std::nullopt;
  }
  return escape;
}

RegexSet read_class(RegexReader& reader, const RegexOptions& options, int depth) {
  return ClassReader(reader, options, depth).read();
}

}  // namespace elrt
