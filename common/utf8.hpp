// Is a text UTF-8?
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace common {

// The first byte that does not belong to a whole, shortest-form character other than a surrogate; nothing where all do.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

std::string hex_byte(char byte);  // "0xe4"

}  // namespace common
