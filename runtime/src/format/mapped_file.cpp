#include "format/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/read_whole.hpp"

namespace elrt {
namespace {

std::string system_reason() { return std::strerror(errno); }

// A shortage of the system's or its disk's is no fault of the file that was asked for.
bool is_shortage(int reason) {
  return reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == EIO || reason == EINTR;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.value < 0) {
    const int reason = errno;
    return Failure{is_shortage(reason) ? Status::kInternal : Status::kBadData,
                   "cannot open '" + path.string() + "': " + std::strerror(reason)};
  }
  struct stat status {};
  if (::fstat(file.value, &status) != 0)
    return internal_error("cannot stat '" + path.string() + "': " + system_reason());
  if (!S_ISREG(status.st_mode)) return bad_data("cannot open '" + path.string() + "': not a regular file");
  if (status.st_size <= 0) return bad_data("cannot map '" + path.string() + "': the file is empty");
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.value, 0);
  if (address == MAP_FAILED) return internal_error("cannot map '" + path.string() + "': " + system_reason());
  return MappedFile(static_cast<const std::byte*>(address), size, path.c_str());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      watched_(std::move(other.watched_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(watched_, other.watched_);
  return *this;
}

MappedFile::~MappedFile() {
  watched_ = WatchedMapping();  // before another mapping can take the place
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace elrt
