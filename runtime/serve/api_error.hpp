// What a client is told where its request cannot be served, in OpenAI's form. The HTTP layer throws it and catches it
// at one place; the engine below returns Results.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "elrt/result.hpp"

namespace elrt::serve {

class ApiError : public std::runtime_error {
 public:
  // `param`: the field that is wrong; empty: none. `code`: a word for programs; empty: none.
  ApiError(int status, const std::string& message, std::string param = "", std::string code = "")
      : std::runtime_error(message), status_(status), param_(std::move(param)), code_(std::move(code)) {}

  // The runtime's: 400 for what the caller asked, 500 for all else.
  explicit ApiError(const Failure& failure, std::string param = "")
      : ApiError(failure.status == Status::kInvalidArgument ? 400 : 500, failure.message, std::move(param)) {}

  int status() const { return status_; }
  std::string body() const;  // {"error": {message, type, param, code}}, valid JSON whatever the message holds

 private:
  int status_;
  std::string param_, code_;
};

}  // namespace elrt::serve
