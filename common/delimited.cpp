#include "common/delimited.hpp"

#include <algorithm>

#include "common/error.hpp"

namespace common {
namespace {

class Scanner {
 public:
  Scanner(std::string_view text, char separator, const std::string& name)
      : text_(text), separator_(separator), name_(name) {}

  bool done() const { return at_ >= text_.size(); }

  DelimitedRecord record() {
    DelimitedRecord record{{}, line_};
    do record.fields.push_back(peek() == '"' ? quoted() : plain());
    while (skip(separator_));
    skip('\r');
    if (skip('\n')) ++line_;
    return record;
  }

 private:
  char peek() const { return done() ? '\n' : text_[at_]; }
  bool skip(char c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool at_end_of_field() const {
    return done() || peek() == separator_ || peek() == '\n' || text_.substr(at_, 2) == "\r\n";
  }

  std::string plain() {
    const std::size_t begin = at_;
    while (!at_end_of_field()) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted() {
    const std::size_t first_line = line_;
    std::string field;
    ++at_;
    while (!done()) {
      const char c = text_[at_++];
      if (c == '"' && !skip('"')) {
        if (!at_end_of_field()) fail_data("{} line {}: text follows the closing quote of a field", name_, line_);
        return field;
      }
      if (c == '\n') ++line_;
      field += c;
    }
    fail_data("{} line {}: a quoted field has no end", name_, first_line);
  }

  std::string_view text_;
  char separator_;
  const std::string& name_;
  std::size_t at_ = 0, line_ = 1;
};

}  // namespace

std::vector<DelimitedRecord> read_delimited(std::string_view text, char separator, const std::string& name) {
  std::vector<DelimitedRecord> records;
  Scanner scanner(text, separator, name);
  while (!scanner.done()) {
    DelimitedRecord record = scanner.record();
    if (record.fields.size() > 1 || !record.fields[0].empty()) records.push_back(std::move(record));
  }
  return records;
}

}  // namespace common
