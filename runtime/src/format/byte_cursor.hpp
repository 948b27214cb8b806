// Bounds-checked reading of little-endian values. The first failure sticks: later reads return zeros, so a parser may
// read a few fields and then ask ok() once.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "elrt/format.h"

namespace elrt {

static_assert(std::endian::native == std::endian::little, "weights are used as mapped: the host must be little endian");

class ByteCursor {
 public:
  explicit ByteCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const { return error_.empty(); }
  const std::string& error() const { return error_; }
  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }

  void fail(std::string reason) {
    if (ok()) error_ = std::move(reason);
  }

  template <typename T>
  T read(const char* what) {
    T value{};
    if (!ok()) return value;
    if (remaining() < sizeof(T)) return end_of_file(what), value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  std::string read_string(const char* what, std::uint64_t limit_bytes) {
    const auto length = read<std::uint64_t>(what);
    if (!ok()) return {};
    if (length > limit_bytes) {
      fail(std::string(what) + " of " + std::to_string(length) + " bytes at byte " + std::to_string(position_) +
           ", expected at most " + std::to_string(limit_bytes));
      return {};
    }
    if (remaining() < length) return end_of_file(what), std::string();
    std::string value(reinterpret_cast<const char*>(bytes_.data() + position_), length);
    position_ += length;
    return value;
  }

 private:
  void end_of_file(const char* what) {
    fail("the file ends inside " + std::string(what) + " at byte " + std::to_string(position_) +
         "; it is truncated or damaged");
  }

  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  std::string error_;
};

}  // namespace elrt
