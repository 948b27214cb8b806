#include "common/delimited.hpp"

#include <catch2/catch.hpp>

#include "support/expect_error.h"

using common::read_delimited;
using elastify::ErrorCode;
using elastify_test::expect_error;

TEST_CASE("fields are read as spreadsheets write them", "[eval][unit]") {
  const auto records = read_delimited("a,\"b, \"\"c\"\"\nd\",\r\n\n,x \"y\" z\n\"\",last", ',', "f");
  REQUIRE(records.size() == 3);
  CHECK(records[0].fields == std::vector<std::string>{"a", "b, \"c\"\nd", ""});
  CHECK(records[0].line == 1);
  CHECK(records[1].fields == std::vector<std::string>{"", "x \"y\" z"});
  CHECK(records[1].line == 4);
  CHECK(records[2].fields == std::vector<std::string>{"", "last"});
  CHECK(records[2].line == 5);
  CHECK(read_delimited("a,b\tc", '\t', "f")[0].fields == std::vector<std::string>{"a,b", "c"});
  CHECK(read_delimited("", ',', "f").empty());
}

TEST_CASE("broken quotes are named with their line", "[eval][unit]") {
  expect_error(ErrorCode::kBadData, {"f line 2", "has no end"}, [] { read_delimited("a\n\"b\nc\n", ',', "f"); });
  expect_error(ErrorCode::kBadData, {"f line 1", "follows the closing quote"},
               [] { read_delimited("\"a\"b,c\n", ',', "f"); });
}
