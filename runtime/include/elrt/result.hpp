// Errors across the runtime's API are values: no exception leaves elrt.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace elrt {

enum class Status : int {
  kOk = 0,
  kInternal = 1,         // a bug or a failed system call that no input explains
  kInvalidArgument = 2,  // the caller asked for something impossible
  kBadData = 3,          // the artifact, tokenizer or text is damaged or foreign
  kCancelled = 4,        // the caller's own callback stopped the call
};

// What failed, on which object, what was expected, what was found, what to do next: one line, no trailing newline.
struct Failure {
  Status status = Status::kInternal;
  std::string message;
};

inline Failure bad_data(std::string message) { return {Status::kBadData, std::move(message)}; }
inline Failure invalid_argument(std::string message) { return {Status::kInvalidArgument, std::move(message)}; }
inline Failure cancelled(std::string message) { return {Status::kCancelled, std::move(message)}; }
inline Failure internal_error(std::string message) { return {Status::kInternal, std::move(message)}; }

namespace detail {
// Whoever reads the wrong side of a Result goes on with nothing: the program stops in every build type, and says why.
[[noreturn]] inline void stop_on_failure(const char* message) {
  std::fprintf(stderr, "elrt: the value of a failed Result was read: %s\n", message);
  std::abort();
}
[[noreturn]] inline void stop_on_success() {
  std::fputs("elrt: the failure of a Result that holds a value was read\n", stderr);
  std::abort();
}
}  // namespace detail

// Either a T or a Failure. Ask ok() first: reading the wrong side is a programming error, which stops the program with
// the failure's message.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}              // NOLINT(google-explicit-constructor)
  Result(Failure failure) : failure_(std::move(failure)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }

  T& value() & { return need_value(), *value_; }
  const T& value() const& { return need_value(), *value_; }
  T&& value() && { return need_value(), std::move(*value_); }
  T* operator->() { return need_value(), &*value_; }
  const T* operator->() const { return need_value(), &*value_; }

  const Failure& failure() const { return need_failure(), failure_; }
  Failure take_failure() { return need_failure(), std::move(failure_); }

 private:
  void need_value() const {
    if (!ok()) detail::stop_on_failure(failure_.message.c_str());
  }
  void need_failure() const {
    if (ok()) detail::stop_on_success();
  }

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
  void value() const {
    if (!ok_) detail::stop_on_failure(failure_.message.c_str());
  }
  const Failure& failure() const { return need_failure(), failure_; }
  Failure take_failure() { return need_failure(), std::move(failure_); }

 private:
  void need_failure() const {
    if (ok_) detail::stop_on_success();
  }

  Failure failure_;
  bool ok_ = true;
};

}  // namespace elrt
