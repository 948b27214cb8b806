// Comma or tab separated text as spreadsheets write it (RFC 4180).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace common {

struct DelimitedRecord {
  std::vector<std::string> fields;
  std::size_t line = 0;  // on which the record begins, from 1
};

// A field that begins with a quote ends at the next lone one; inside it "" is a quote, and separators and newlines are
// text. Quotes elsewhere are text. Blank lines are left out. Throws Error(kBadData) with `name` and the line on a
// quoted field without end and on text after its end.
std::vector<DelimitedRecord> read_delimited(std::string_view text, char separator, const std::string& name);

}  // namespace common
