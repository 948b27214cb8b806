// Every failure of the toolchain is one exception type: a code, which becomes the exit status, and one line of text.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/error.hpp"

namespace elastify {

using common::Error;
using common::ErrorCode;

// Message order: what failed, which object, expected, found, next step.
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
[[noreturn]] void fail_data(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kBadData, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kUsage, fmt::format(format, std::forward<Args>(args)...));
}
// For conditions that only a bug can break.
template <typename... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw Error(ErrorCode::kInternal, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace elastify
