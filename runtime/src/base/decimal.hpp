// Numbers with a fraction as text, whatever the program's locale. Not by <charconv>: standard libraries of phones have
// it for whole numbers only.
#pragma once

#include <locale>
#include <optional>
#include <sstream>
#include <string>

namespace elrt {

// Of the whole text, which has the form of a JSON number; nothing where no double comes close.
inline std::optional<double> parse_decimal(const std::string& text) {
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  double value = 0;
  in >> value;
  if (in.fail() || in.peek() != std::istringstream::traits_type::eof()) return std::nullopt;
  return value;
}

// With so many significant digits, the shorter of the plain and the scientific form.
inline std::string format_decimal(double value, int digits) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out.precision(digits);
  out << value;
  return out.str();
}

}  // namespace elrt
