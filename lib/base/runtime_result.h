// The runtime's results as the toolchain's errors.
#pragma once

#include <elrt/result.hpp>

#include <utility>

#include "base/error.h"

namespace elastify {

[[noreturn]] inline void fail_with(const elrt::Failure& failure) {
  const auto code = failure.status == elrt::Status::kInvalidArgument ? ErrorCode::kUsage
                    : failure.status == elrt::Status::kBadData       ? ErrorCode::kBadData
                                                                     : ErrorCode::kInternal;
  throw Error(code, failure.message);
}

template <typename T>
T take(elrt::Result<T> result) {
  if (!result) fail_with(result.failure());
  return std::move(result).value();
}

}  // namespace elastify
