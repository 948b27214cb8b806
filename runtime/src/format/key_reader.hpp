// Typed reads of a hostile file's keys.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "elrt/gguf.hpp"

namespace elrt {

// Reads scalar keys and remembers the first problem.
class KeyReader {
 public:
  explicit KeyReader(const gguf::Metadata& metadata) : metadata_(metadata) {}

  std::uint32_t u32(const char* key, std::uint32_t low, std::uint32_t high) {
    const auto* value = gguf::find<std::uint32_t>(metadata_, key);
    if (value == nullptr) return problem(key, "is missing or is not u32"), low;
    if (*value < low || *value > high) {
      const std::string most = low == high ? "" : " to " + std::to_string(high);
      problem(key, "is " + std::to_string(*value) + ", expected " + std::to_string(low) + most);
      return low;
    }
    return *value;
  }

  float positive_f32(const char* key, float high) {
    const auto* value = gguf::find<float>(metadata_, key);
    if (value == nullptr) return problem(key, "is missing or is not f32"), 1.0f;
    if (!(*value > 0) || !(*value <= high)) {
      problem(key, "is " + std::to_string(*value) + ", expected above 0 and at most " + std::to_string(high));
    }
    return *value;
  }

  bool flag(const char* key) {
    const auto* value = gguf::find<bool>(metadata_, key);
    if (value == nullptr) problem(key, "is missing or is not bool");
    return value != nullptr && *value;
  }

  // Strictly ascending percentages, at least one.
  std::vector<std::uint32_t> percentages(const char* key) {
    const auto* values = gguf::find<std::vector<std::uint32_t>>(metadata_, key);
    if (values == nullptr) return problem(key, "is missing or is not [u32]"), std::vector<std::uint32_t>{};
    const bool rise = std::adjacent_find(values->begin(), values->end(), std::greater_equal<>()) == values->end();
    if (values->empty() || !rise || values->front() == 0 || values->back() > 100)
      problem(key, "does not hold ascending percentages from 1 to 100");
    return *values;
  }

  void text(const char* key, const std::string& expected) {
    const auto* value = gguf::find<std::string>(metadata_, key);
    if (value == nullptr) return problem(key, "is missing or is not a string");
    if (*value != expected) problem(key, "is '" + value->substr(0, 64) + "', expected '" + expected + "'");
  }

  void problem(const char* key, const std::string& what) {
    if (problem_.empty()) problem_ = "key '" + std::string(key) + "' " + what;
  }

  const std::string& first_problem() const { return problem_; }

 private:
  const gguf::Metadata& metadata_;
  std::string problem_;
};

}  // namespace elrt
