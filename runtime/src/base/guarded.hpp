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

// Names of a hostile file may hold line ends and a terminal's commands: a message is one line of plain text all the
// same.
inline Failure one_line(Failure failure) {
  for (char& c : failure.message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return failure;
}

// Runs `body`, which returns a Result.
template <typename Body>
auto guarded(const char* what, Body&& body) -> std::invoke_result_t<Body> {
  try {
    auto result = body();
    if (!result) return one_line(result.take_failure());
    return result;
  } catch (const std::bad_alloc&) {
    return system_failure(what, "out of memory");
  } catch (const std::exception& error) {
    return system_failure(what, error.what());
  }
}

}  // namespace elrt
