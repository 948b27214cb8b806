#include "common/option_checks.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>
#include <string>

#include "common/error.hpp"
#include "common/number.hpp"

namespace common {
namespace {

std::string shown(double value) {
  std::ostringstream text;
  text.precision(std::abs(value) < 1e15 ? 15 : 6);
  text << value;
  return text.str();
}

// Validators rewrite the text that CLI11 then converts: a number in its plainest form has one reading.
template <typename T>
CLI::Validator strict(std::optional<T> (*parse)(std::string_view), const char* expected) {
  return CLI::Validator(
      [parse, expected](std::string& text) {
        const auto value = parse(text);
        if (!value) return filled("expected {}, found \"{}\"", expected, text);
        if constexpr (std::is_integral_v<T>) text = std::to_string(*value);
        return std::string();
      },
      "");
}

void make_strict(CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type.starts_with("UINT"))
    option.transform(strict(&parse_unsigned, "a whole number from 0"));
  else if (type.starts_with("INT"))
    option.transform(strict(&parse_integer, "a whole number"));
  else if (type.starts_with("FLOAT"))
    option.transform(strict(&parse_real, "a number"));
}

}  // namespace

CLI::Validator in_range(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        const auto value = parse_real(text);
        if (value && *value >= low && *value <= high) return std::string();
        return std::isinf(high)
                   ? filled("expected a number from {}, found \"{}\"", shown(low), text)
                   : filled("expected a number from {} to {}, found \"{}\"", shown(low), shown(high), text);
      },
      std::isinf(high) ? filled(">= {}", shown(low)) : filled("{} to {}", shown(low), shown(high)));
}

CLI::Validator at_least(double low) { return in_range(low, INFINITY); }

CLI::Validator one_of(std::vector<std::string> words) {
  std::string names;
  for (const auto& word : words) names += (names.empty() ? "" : ", ") + word;
  return CLI::Validator(
      [words = std::move(words), names](std::string& text) {
        if (std::find(words.begin(), words.end(), text) != words.end()) return std::string();
        return filled("expected one of {}, found \"{}\"", names, text);
      },
      "{" + names + "}");
}

void read_numbers_strictly(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) make_strict(*option);
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) read_numbers_strictly(*command);
}

}  // namespace common
