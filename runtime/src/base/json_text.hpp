// JSON (RFC 8259) read strictly: for the small files that lie next to an artifact. Text is hostile until it is proven
// well-formed: nesting is limited, keys may not repeat, numbers must be finite, strings valid UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "elrt/result.hpp"

namespace elrt::json {

struct Member;

struct Value {
  std::variant<std::nullptr_t, bool, double, std::string, std::vector<Value>, std::vector<Member>> content;
  bool whole = false;  // a number written without point and exponent

  // The content if it has exactly the type T, else nullptr.
  template <typename T>
  const T* as() const {
    return std::get_if<T>(&content);
  }
  const Value* find(std::string_view key) const;  // nullptr if this is no object or has no such key
};

struct Member {
  std::string key;
  Value value;
};

// One value with nothing but white space around it. Fails with kBadData, naming the byte where reading stopped.
Result<Value> parse(std::string_view text);

// In double quotes, control characters, quotes and backslashes escaped.
std::string quoted(std::string_view text);

}  // namespace elrt::json
