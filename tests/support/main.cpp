// One main for every test program: Catch2 2.13 has no SKIP, so a program whose every case was skipped says so to CTest.
#define CATCH_CONFIG_RUNNER
#include "support/skip.h"

#include <catch2/catch.hpp>
#include <iostream>

namespace elastify_test {
int& skipped_cases() {
  static int count = 0;
  return count;
}
void skip_case(const std::string& reason) {
  ++skipped_cases();
  std::cerr << "SKIPPED: " << Catch::getResultCapture().getCurrentTestName() << ": " << reason << "\n";
}
}  // namespace elastify_test

int main(int argc, char** argv) {
  const int failed = Catch::Session().run(argc, argv);
  if (failed != 0) return 1;
  if (elastify_test::skipped_cases() > 0) std::cerr << elastify_test::skipped_cases() << " case(s) skipped\n";
  return 0;
}
