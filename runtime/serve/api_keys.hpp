// The keys that a server asks its clients for.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/result.hpp"

namespace elrt::serve {

class ApiKeys {
 public:
  // A key a line; empty lines and those that begin with # are none. Fails for a file without any.
  static Result<ApiKeys> read(const std::filesystem::path& path);
  ApiKeys() = default;  // none are asked for

  bool asked() const { return !keys_.empty(); }
  // Takes the same time for every key of one length, right or wrong: how much of it is right cannot be measured.
  bool allow(std::string_view key) const;

 private:
  std::vector<std::string> keys_;
};

}  // namespace elrt::serve
