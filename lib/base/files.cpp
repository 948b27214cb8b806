#include "base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "common/text_file.hpp"

namespace elastify {

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    // A shortage of the system's or its disk's is no fault of the file that was asked for.
    const int reason = errno;
    const bool shortage = reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == EIO;
    fail(shortage ? ErrorCode::kInternal : ErrorCode::kBadData, "cannot open {}: {}", path.string(),
         std::strerror(reason));
  }
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    fail_data("cannot read {}: it is not a regular file", path.string());
  }
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ > 0) {
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int reason = errno;
    ::close(descriptor);
    if (mapped == MAP_FAILED) fail(ErrorCode::kInternal, "cannot map {}: {}", path.string(), std::strerror(reason));
    data_ = static_cast<const std::byte*>(mapped);
    watched_ = elrt::WatchedMapping(mapped, size_, path_.c_str());
  } else {
    ::close(descriptor);
  }
}

MappedFile::~MappedFile() {
  watched_ = elrt::WatchedMapping();  // before another mapping can take the place
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::size_t offset, std::size_t bytes) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t begin = (offset + page - 1) / page * page;
  const std::size_t end = (offset + bytes) / page * page;
  if (end > begin) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

namespace {

[[noreturn]] void fail_write(const fs::path& path) {
  const int reason = errno;
  fail(ErrorCode::kInternal, "cannot write {}: {}{}", path.string(), std::strerror(reason),
       reason == ENOSPC ? "; free some space and run the same command again" : "");
}

// A file's bytes or a folder's names on the disk.
void sync_path(const fs::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (descriptor < 0) fail_write(path);
  const bool synced = ::fsync(descriptor) == 0;
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  // EINVAL: a file system that has nothing to flush.
  if (!synced && reason != EINVAL) fail_write(path);
}

void sync_parent(const fs::path& path) {
  sync_path(path.has_parent_path() ? path.parent_path() : fs::path("."), O_DIRECTORY);
}

// All of a folder: the files' bytes and every folder's names.
void sync_tree(const fs::path& folder) try {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_symlink()) continue;
    if (entry.is_regular_file()) sync_path(entry.path(), 0);
    if (entry.is_directory()) sync_path(entry.path(), O_DIRECTORY);
  }
  sync_path(folder, O_DIRECTORY);
} catch (const fs::filesystem_error& error) {
  fail(ErrorCode::kInternal, "cannot read the folder {}: {}", folder.string(), error.code().message());
}

// Puts `made` in the place of `target`, which may exist and then survives every failure. 0, or the system's reason.
int exchange_or_rename(const fs::path& made, const fs::path& target) {
  if (::rename(made.c_str(), target.c_str()) == 0) return 0;  // nothing or an empty folder was there
  if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return errno;
#ifdef RENAME_EXCHANGE
  if (::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
#endif
  // A file system that cannot exchange: aside, and back where the second step fails.
  const fs::path aside = target.string() + ".replaced";
  std::error_code ignored;
  fs::remove_all(aside, ignored);
  if (::rename(target.c_str(), aside.c_str()) != 0) return errno;
  if (::rename(made.c_str(), target.c_str()) != 0) {
    const int reason = errno;
    ::rename(aside.c_str(), target.c_str());
    return reason;
  }
  fs::remove_all(aside, ignored);
  return 0;
}

fs::path partial_of(const fs::path& path) { return fs::path(path.string() + ".partial"); }

}  // namespace

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), partial_(partial_of(path_)) {
  if (path_.has_parent_path()) {
    std::error_code ignored;  // open() below reports the reason
    fs::create_directories(path_.parent_path(), ignored);
  }
  ::unlink(partial_.c_str());  // of a run that was killed: cut short, whoever shares it by a link would lose it too
  descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail_write(partial_);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  write_at(position_, data, bytes);
  position_ += bytes;
}

void AtomicFile::write_at(std::uint64_t offset, const void* data, std::size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(descriptor_, from, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_write(partial_);
    from += written;
    offset += static_cast<std::uint64_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail_write(partial_);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0 || ::rename(partial_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(partial_.c_str());
    errno = reason;
    fail_write(path_);
  }
  sync_parent(path_);
}

AtomicDirectory::AtomicDirectory(fs::path target) : target_(std::move(target)), partial_(partial_of(target_)) {
  std::error_code error;
  fs::remove_all(partial_, error);
  if (!error) fs::create_directories(partial_, error);
  if (error) fail(ErrorCode::kInternal, "cannot create {}: {}", partial_.string(), error.message());
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(partial_, ignored);
}

void AtomicDirectory::commit() {
  replace_directory(partial_, target_);
  committed_ = true;
}

void replace_directory(const fs::path& made, const fs::path& target) {
  sync_tree(made);
  if (const int reason = exchange_or_rename(made, target); reason != 0) {
    fail(ErrorCode::kInternal, "cannot put {} in the place of {}: {}; what stood there is as it was", made.string(),
         target.string(), std::strerror(reason));
  }
  sync_parent(target);
  std::error_code ignored;  // what stood there before; who makes `made` again removes what is left of it
  fs::remove_all(made, ignored);
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

void write_json(const fs::path& path, const nlohmann::json& document) {
  write_file(path, document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::string read_file(const fs::path& path, std::uint64_t limit_bytes) {
  const MappedFile file(path);
  if (file.size_bytes() > limit_bytes) {
    fail_data("{} is too large: expected at most {} bytes, found {}", path.string(), limit_bytes, file.size_bytes());
  }
  return std::string(file.text());
}

nlohmann::json read_json(const fs::path& path) { return parse_json(common::read_text(path), path.string()); }

}  // namespace elastify
