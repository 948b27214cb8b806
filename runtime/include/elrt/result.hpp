// Errors across the runtime's API are values: no exception leaves elrt.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace elrt {

enum class Status : int {
  kOk = 0,
  kInternal = 1,         // a bug or a failed system call that no input explains
  kInvalidArgument = 2,  // the caller asked for something impossible
  kBadData = 3,          // the artifact, tokenizer or text is damaged or foreign
};

// What failed, on which object, what was expected, what was found, what to do next: one line, no trailing newline.
struct Failure {
  Status status = Status::kInternal;
  std::string message;
};

inline Failure bad_data(std::string message) { return {Status::kBadData, std::move(message)}; }
inline Failure invalid_argument(std::string message) { return {Status::kInvalidArgument, std::move(message)}; }
inline Failure internal_error(std::string message) { return {Status::kInternal, std::move(message)}; }

// Either a T or a Failure. Reading the wrong side is a programming error (checked by assert).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}              // NOLINT(google-explicit-constructor)
  Result(Failure failure) : failure_(std::move(failure)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }

  T& value() & {
    assert(ok());
    return *value_;
  }
  const T& value() const& {
    assert(ok());
    return *value_;
  }
  T&& value() && {
    assert(ok());
    return std::move(*value_);
  }
  T* operator->() {
    assert(ok());
    return &*value_;
  }
  const T* operator->() const {
    assert(ok());
    return &*value_;
  }

  const Failure& failure() const {
    assert(!ok());
    return failure_;
  }
  Failure take_failure() {
    assert(!ok());
    return std::move(failure_);
  }

 private:
  std::optional<T> value_;
  Failure failure_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure failure) : failure_(std::move(failure)), ok_(false) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Failure& failure() const {
    assert(!ok_);
    return failure_;
  }
  Failure take_failure() {
    assert(!ok_);
    return std::move(failure_);
  }

 private:
  Failure failure_;
  bool ok_ = true;
};

}  // namespace elrt
