#include "common/text_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/error.hpp"
#include "common/utf8.hpp"

namespace common {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ > STDERR_FILENO) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }

 private:
  int value_;
};

std::string read_all(int descriptor, const std::string& name) {
  struct stat info {};
  std::string bytes;
  if (::fstat(descriptor, &info) == 0) {
    if (S_ISDIR(info.st_mode)) fail_data("{} is a folder: expected a file; name one in it", name);
    if (S_ISREG(info.st_mode)) bytes.reserve(static_cast<std::size_t>(info.st_size));
  }
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got == 0) return bytes;
    if (got > 0)
      bytes.append(buffer.data(), static_cast<std::size_t>(got));
    else if (errno != EINTR)
      fail(ErrorCode::kInternal, "cannot read {}: {}", name, std::strerror(errno));
  }
}

[[noreturn]] void fail_encoding(const std::string& name, const char* found, const char* from) {
  fail_data("{} is {} text: expected UTF-8; convert it first: iconv -f {} -t UTF-8", name, found, from);
}

void refuse_other_encodings(std::string_view bytes, const std::string& name) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xff\xfe\0\0"sv) || bytes.starts_with("\0\0\xfe\xff"sv))
    fail_encoding(name, "UTF-32", "UTF-32");
  if (bytes.starts_with("\xff\xfe"sv) || bytes.starts_with("\xfe\xff"sv)) fail_encoding(name, "UTF-16", "UTF-16");
  const auto zero = bytes.find('\0');
  if (zero != std::string_view::npos) {
    fail_data(
        "{} line {} is not text: byte {} of the file is zero; where it is UTF-16, convert it first: "
        "iconv -f UTF-16 -t UTF-8",
        name, line_of(bytes, zero), zero);
  }
  if (const auto at = first_invalid_utf8(bytes)) {
    fail_data(
        "{} line {} is not UTF-8: byte {} of the file is {}; convert the file first, for example: "
        "iconv -f WINDOWS-1252 -t UTF-8",
        name, line_of(bytes, *at), *at, hex_byte(bytes[*at]));
  }
}

}  // namespace

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return extension;
}

TextKind text_kind(const fs::path& path) {
  const std::string extension = lower_extension(path);
  if (extension == ".jsonl" || extension == ".ndjson") return TextKind::kJsonLines;
  if (extension == ".json") return TextKind::kJson;
  if (extension == ".csv" || extension == ".tsv") return TextKind::kTable;
  return TextKind::kPlain;
}

std::size_t line_of(std::string_view text, std::size_t byte) {
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(byte), '\n'));
}

std::string checked_text(std::string bytes, const std::string& name) {
  refuse_other_encodings(bytes, name);
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.erase(0, 3);  // the mark that some editors write
  return bytes;
}

std::string read_text(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.value() < 0) fail_data("cannot open {}: {}", path.string(), std::strerror(errno));
  return checked_text(read_all(file.value(), path.string()), path.string());
}

std::string read_text_or_input(const std::string& name) {
  if (name != "-") return read_text(name);
  return checked_text(read_all(STDIN_FILENO, "standard input"), "standard input");
}

std::string read_plain_text(const std::string& name) {
  const TextKind kind = name == "-" ? TextKind::kPlain : text_kind(name);
  if (kind == TextKind::kPlain) return read_text_or_input(name);
  if (fs::is_directory(name)) return read_text(name);  // which says so
  fail_data("{} holds {}: expected one plain text; give a file of another extension", name,
            kind == TextKind::kTable ? "a table" : "JSON records (elastify eval --text reads those)");
}

}  // namespace common
