// Files that are whole or absent: everything is written next to its place and renamed into it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <elrt/mapped_files.hpp>
#include <nlohmann/json.hpp>

namespace elastify {

namespace fs = std::filesystem;

// A file mapped read-only for as long as this object lives. Throws Error(kBadData) if it cannot be opened. Where it is
// made shorter meanwhile, reading it ends the program (elrt/mapped_files.hpp).
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  std::size_t size_bytes() const { return size_; }
  const fs::path& path() const { return path_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  // Gives the pages of [offset, offset + bytes) back to the system: streaming through a file larger than memory.
  void release(std::size_t offset, std::size_t bytes) const;

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  elrt::WatchedMapping watched_;
};

// Writes `path`.partial; commit() flushes it to the disk and renames it to `path`. Dropped without commit(), it
// vanishes. Every failure, a full disk included, throws Error(kInternal) that names the file and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write_at(std::uint64_t offset, const void* data, std::size_t bytes);
  std::uint64_t position() const { return position_; }
  void commit();

 private:
  fs::path path_, partial_;
  int descriptor_ = -1;
  std::uint64_t position_ = 0;
};

// A directory that appears whole: fill path(), then commit() flushes it to the disk and puts it in the place of
// `target`, which stays as it was where that fails. Throws Error(kInternal) that names the folder and the system's
// reason.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(fs::path target);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const fs::path& path() const { return partial_; }
  void commit();

 private:
  fs::path target_, partial_;
  bool committed_ = false;
};

// Flushes the folder `made` to the disk, puts it in the place of `target` (of the same file system) and removes what
// stood there, which survives every failure. Throws Error(kInternal) that names both and the system's reason.
void replace_directory(const fs::path& made, const fs::path& target);

void write_file(const fs::path& path, std::string_view text);           // atomic
void write_json(const fs::path& path, const nlohmann::json& document);  // atomic, indented, final newline

// The whole file. Throws Error(kBadData) if it is missing or larger than `limit_bytes`.
std::string read_file(const fs::path& path, std::uint64_t limit_bytes = std::uint64_t{1} << 31);
// Read as every text is (common/text_file.hpp) and as parse_json() (common/json.hpp). Throws Error(kBadData) that names
// the file and the line where parsing stopped.
nlohmann::json read_json(const fs::path& path);

}  // namespace elastify
