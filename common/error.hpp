// Every failure of a program is one exception type: a code, which becomes the exit status, and one line of text.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace common {

enum class ErrorCode : int {
  kInternal = 1,  // a bug or a failed system call
  kUsage = 2,     // command line or configuration
  kBadData = 3,   // checkpoint, text, run directory or artifact
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

// `form` with each "{}" replaced by the next argument: what the messages of this folder need of a formatting library.
template <typename... Args>
std::string filled(std::string_view form, const Args&... args) {
  std::ostringstream text;
  [[maybe_unused]] const auto next = [&](const auto& value) {
    const auto at = form.find("{}");
    text << form.substr(0, at) << value;
    form.remove_prefix(at + 2);
  };
  (next(args), ...);
  text << form;
  return text.str();
}

// Message order: what failed, which object, expected, found, next step.
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, std::string_view form, const Args&... args) {
  throw Error(code, filled(form, args...));
}
template <typename... Args>
[[noreturn]] void fail_data(std::string_view form, const Args&... args) {
  throw Error(ErrorCode::kBadData, filled(form, args...));
}

}  // namespace common
