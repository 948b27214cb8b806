// Files to import, in a folder that goes away with the case.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "tokenizer/import.h"

namespace elastify_test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "elastify-tokenizer-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The message with which importing fails; fails the case if it does not, or not as bad data.
inline std::string import_error(const std::filesystem::path& path, std::int64_t vocab_size = 0) {
  try {
    elastify::import_tokenizer(path, vocab_size);
  } catch (const elastify::Error& error) {
    CHECK(error.code() == elastify::ErrorCode::kBadData);
    return error.what();
  }
  FAIL_CHECK("the import of " << path << " should have failed");
  return "";
}

}  // namespace elastify_test
