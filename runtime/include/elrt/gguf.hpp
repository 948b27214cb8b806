// GGUF v3 key-values as typed C++ values, shared by the reader (elrt) and the writer (the toolchain).
// Reference: the public GGUF specification, version 3 (little endian).
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace elrt::gguf {

// Value type ids of the specification.
enum class ValueType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Scalars first, then arrays of them. Arrays of arrays are not part of what elastify writes and are refused on reading.
using Value =
    std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t, float, bool,
                 std::string, std::uint64_t, std::int64_t, double, std::vector<std::uint8_t>, std::vector<std::int8_t>,
                 std::vector<std::uint16_t>, std::vector<std::int16_t>, std::vector<std::uint32_t>,
                 std::vector<std::int32_t>, std::vector<float>, std::vector<bool>, std::vector<std::string>,
                 std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;

// Sorted by key, so that equal contents give equal bytes.
using Metadata = std::map<std::string, Value, std::less<>>;

// The value of `key` if it is there and has exactly the type T, else nullptr. The pointer lives as long as the map.
template <typename T>
const T* find(const Metadata& metadata, std::string_view key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : std::get_if<T>(&found->second);
}

// A whole number of any of the integer types: writers do not agree on them. None: missing, another type, or above 2^63.
inline std::optional<std::int64_t> find_integer(const Metadata& metadata, std::string_view key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  return std::visit(
      [](const auto& value) -> std::optional<std::int64_t> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          if constexpr (std::is_same_v<T, std::uint64_t>) {
            if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
          }
          return static_cast<std::int64_t>(value);
        } else {
          return std::nullopt;
        }
      },
      found->second);
}

}  // namespace elrt::gguf
