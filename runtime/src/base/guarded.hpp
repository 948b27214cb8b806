// The line where exceptions of the standard library (in practice: out of memory) become values.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include "elrt/result.hpp"

namespace elrt {

// Runs `body`, which returns a Result.
template <typename Body>
auto guarded(const char* what, Body&& body) -> std::invoke_result_t<Body> {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return internal_error(std::string("cannot ") + what + ": out of memory");
  } catch (const std::exception& error) {
    return internal_error(std::string("cannot ") + what + ": " + error.what());
  }
}

}  // namespace elrt
