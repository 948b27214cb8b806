// What counts as a number on a command line.
#include "common/number.hpp"

#include <catch2/catch.hpp>

using namespace common;

TEST_CASE("whole numbers are decimal digits and nothing else", "[common][unit]") {
  CHECK(parse_unsigned("50") == 50u);
  CHECK(parse_unsigned("050") == 50u);  // not octal
  CHECK(parse_unsigned("18446744073709551615") == UINT64_MAX);
  for (const char* wrong : {"", "-1", "+1", " 1", "1 ", "0x10", "1e3", "5.0", "18446744073709551616", "1'000", "ten"})
    CHECK_FALSE(parse_unsigned(wrong));
  CHECK(parse_integer("-9223372036854775808") == INT64_MIN);
  CHECK(parse_integer("-010") == -10);
  for (const char* wrong : {"", "-", "--1", "+1", "9223372036854775808", "0x10", "1."})
    CHECK_FALSE(parse_integer(wrong));
}

TEST_CASE("real numbers are finite decimals", "[common][unit]") {
  CHECK(parse_real("0.5") == 0.5);
  CHECK(parse_real(".5") == 0.5);
  CHECK(parse_real("010") == 10.0);
  CHECK(parse_real("-1e-3") == -0.001);
  for (const char* wrong :
       {"", ".", "-", "nan", "inf", "-inf", "infinity", "0x1p3", "1e", "1e999", "1,5", " 1", "1 ", "+1"})
    CHECK_FALSE(parse_real(wrong));
}
