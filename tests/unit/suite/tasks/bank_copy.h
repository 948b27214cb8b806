// The small bank of tests/golden/tasks, as it is or with one thing spoilt.
#pragma once

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "support/temp_dir.h"
#include "tasks/bank.h"

namespace elastify_test {

inline std::filesystem::path golden_bank() { return std::filesystem::path(ELASTIFY_SOURCE_DIR) / "tests/golden/tasks"; }

class BankCopy {
 public:
  BankCopy() { std::filesystem::copy(golden_bank(), dir_.path(), std::filesystem::copy_options::recursive); }

  std::filesystem::path path() const { return dir_.path(); }
  std::filesystem::path operator/(const std::string& name) const { return dir_ / name; }

  // Replaces the first `from`, which must be there, after the first `after`.
  BankCopy& replace(const std::string& file, const std::string& from, const std::string& to,
                    const std::string& after = "") {
    std::string text = read_bytes(dir_ / file);
    const auto start = text.find(after);
    REQUIRE(start != std::string::npos);
    const auto at = text.find(from, start);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    write_bytes(dir_ / file, text);
    return *this;
  }

  elastify::BankReport report() const {
    elastify::BankReport found;
    elastify::read_task_bank(dir_.path(), found);
    return found;
  }

 private:
  TempDir dir_;
};

// Is there a line that holds all of these?
inline bool says(const std::vector<std::string>& lines, std::initializer_list<const char*> words) {
  for (const auto& line : lines) {
    bool all = true;
    for (const char* word : words) all = all && line.find(word) != std::string::npos;
    if (all) return true;
  }
  return false;
}

}  // namespace elastify_test
