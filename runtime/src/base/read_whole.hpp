// A small file's bytes, where an error while reading is told from its end, as streams do not.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>

namespace elrt {

struct FileDescriptor {
  int value = -1;
  explicit FileDescriptor(int descriptor) : value(descriptor) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (value >= 0) ::close(value);
  }
};

// 0, or the system's error number; EFBIG for a file of more than `limit` bytes.
inline int read_whole(const char* path, std::size_t limit, std::string& text) {
  const FileDescriptor file(::open(path, O_RDONLY | O_CLOEXEC));
  if (file.value < 0) return errno;
  text.clear();
  std::array<char, 1 << 14> block;
  for (ssize_t count; (count = ::read(file.value, block.data(), block.size())) != 0;) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    text.append(block.data(), static_cast<std::size_t>(count));
    if (text.size() > limit) return EFBIG;
  }
  return 0;
}

}  // namespace elrt
