// Reads the fields of a request's JSON object strictly: a value of another type, or out of range, is an ApiError(400)
// that names the field. Absent and null are the same.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elrt::serve {

class Fields {
 public:
  explicit Fields(const nlohmann::json& object) : object_(object) {}

  const nlohmann::json* find(const char* name) const;  // nullptr where it is absent or null
  std::optional<bool> flag(const char* name) const;
  std::optional<std::string> text(const char* name) const;
  std::optional<double> number(const char* name, double low, double high) const;  // low <= value <= high
  // Whole numbers, 8.0 too. At most 2^53, beyond which doubles are not whole numbers of their own.
  std::optional<std::int64_t> whole(const char* name, std::int64_t low, std::int64_t high) const;
  std::optional<Fields> object(const char* name) const;
  std::vector<std::string> texts(const char* name, std::size_t most) const;  // one text or a list of them, none empty

  // What this server cannot do: refused by name unless it has a value that changes nothing.
  void refuse(const char* name, const std::vector<nlohmann::json>& harmless) const;

 private:
  const nlohmann::json& object_;
};

}  // namespace elrt::serve
