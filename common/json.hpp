// JSON read strictly, wherever the toolchain meets it: settings, configurations, headers, lines of data.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace common {

// One document with nothing but white space (and a byte order mark) around it. The library alone keeps the last of two
// equal keys without a word, and what it destroys or prints by recursion may be nested without bound: here a key that
// stands twice in one object and nesting beyond 512 are refused. Throws Error(kBadData) that begins with `source` and,
// where the text has several lines, names the line.
nlohmann::json parse_json(std::string_view text, const std::string& source);

}  // namespace common
