// The line where exceptions of the standard library (in practice: out of memory) become values.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include "elrt/result.hpp"

namespace elrt {

// "cannot WHAT: WHY". Where the memory for that is missing as well, words so short that a string holds them in itself.
inline Failure system_failure(const char* what, const char* why) noexcept {
  try {
    return internal_error(std::string("cannot ") + what + ": " + why);
  } catch (...) {
    return internal_error("out of memory");
  }
}

// Runs `body`, which returns a Result.
template <typename Body>
auto guarded(const char* what, Body&& body) -> std::invoke_result_t<Body> {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return system_failure(what, "out of memory");
  } catch (const std::exception& error) {
    return system_failure(what, error.what());
  }
}

}  // namespace elrt
