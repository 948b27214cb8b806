// Structs of the C API that begin with their size: callers and library may have been compiled with different versions
// of a struct, which share a beginning.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include "elrt/result.hpp"

namespace elrt::c_api {

// A struct that claims to be larger by more than this was never initialised.
inline constexpr std::size_t kMostUnknownBytes = 4096;

inline Result<void> check_size(const char* name, std::size_t size, std::size_t known) {
  if (size >= sizeof(size) && size <= known + kMostUnknownBytes) return {};
  return invalid_argument("the struct_size of " + std::string(name) + " is " + std::to_string(size) + ", expected " +
                          std::to_string(known) + "; set it with ELRT_INIT");
}

// The caller's struct as this library knows it: what it is too short for is zero. Refuses what this library does not
// know and cannot ignore. NULL: all zero.
template <typename T>
Result<T> read_struct(const char* name, const T* in) {
  T out{};
  if (in != nullptr) {
    const std::size_t size = in->struct_size;
    if (auto done = check_size(name, size, sizeof(T)); !done) return done.take_failure();
    const auto* bytes = reinterpret_cast<const unsigned char*>(in);
    for (std::size_t i = sizeof(T); i < size; ++i) {
      if (bytes[i] == 0) continue;
      return invalid_argument(std::string(name) + " of " + std::to_string(size) +
                              " bytes sets a field that this version of elrt does not have (it knows " +
                              std::to_string(sizeof(T)) + " bytes); leave it zero, or use a newer library");
    }
    std::memcpy(static_cast<void*>(&out), in, std::min(size, sizeof(T)));
  }
  out.struct_size = sizeof(T);
  return out;
}

// Before the work, whether a result can be written; NULL can.
template <typename T>
Result<void> check_result(const char* name, const T* out) {
  return out == nullptr ? Result<void>{} : check_size(name, out->struct_size, sizeof(T));
}

// As much of `value` as the caller's struct holds; what only the caller knows becomes zero.
template <typename T>
void write_struct(T* out, T value) {
  if (out == nullptr) return;
  const std::size_t size = value.struct_size = out->struct_size;
  std::memset(static_cast<void*>(out), 0, size);
  std::memcpy(static_cast<void*>(out), &value, std::min(size, sizeof(T)));
}

}  // namespace elrt::c_api
