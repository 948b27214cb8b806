// A read-only memory mapping of a regular file, closed by its destructor.
// A file that another process truncates while it is mapped raises SIGBUS on access: elrt/mapped_files.hpp.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "elrt/mapped_files.hpp"
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
  MappedFile(const std::byte* data, std::size_t size, const char* path)
      : data_(data), size_(size), watched_(data, size, path) {}
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  WatchedMapping watched_;
};

}  // namespace elrt
