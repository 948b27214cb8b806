// Numbers as people write them, and nothing else: decimal digits (a leading zero changes nothing: 050 is 50), a minus
// sign where a number may be negative, for real numbers a point and an exponent. No plus, no spaces, no hexadecimal, no
// inf or nan; empty text and what does not fit the type is no number.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace common {

std::optional<std::uint64_t> parse_unsigned(std::string_view text);
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_real(std::string_view text);  // finite

}  // namespace common
