// Errors are checked for what they tell: the code, and the words that a user needs.
#pragma once

#include "base/error.h"

#include <catch2/catch.hpp>

#include <initializer_list>
#include <string>

namespace elastify_test {

template <typename F>
void expect_error(elastify::ErrorCode code, std::initializer_list<const char*> words, F&& action) {
  try {
    action();
  } catch (const elastify::Error& error) {
    INFO(error.what());
    CHECK(error.code() == code);
    for (const char* word : words) CHECK_THAT(std::string(error.what()), Catch::Matchers::Contains(word));
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return;
  }
  FAIL("no error was thrown");
}

}  // namespace elastify_test
