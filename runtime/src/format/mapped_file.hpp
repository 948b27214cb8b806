// A read-only memory mapping of a regular file, closed by its destructor.
// A file that another process truncates while it is mapped raises SIGBUS on access; artifacts are replaced by rename.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "elrt/result.hpp"

namespace elrt {

class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace elrt
