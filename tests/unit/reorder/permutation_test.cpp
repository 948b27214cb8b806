#include "reorder/permutation.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include "support/expect_error.h"

using namespace elastify;
using elastify_test::expect_error;

TEST_CASE("only bijections are permutations", "[reorder][unit]") {
  REQUIRE_NOTHROW(Permutation({2, 0, 1}));
  expect_error(ErrorCode::kInternal, {"not a permutation"}, [] { Permutation({0, 0, 1}); });
  expect_error(ErrorCode::kInternal, {"not a permutation"}, [] { Permutation({0, 3, 1}); });
  expect_error(ErrorCode::kInternal, {"not a permutation"}, [] { Permutation({-1, 0, 1}); });
}

TEST_CASE("units move together along either dimension", "[reorder][unit]") {
  const auto rows = torch::arange(6).view({6, 1});
  const Permutation order({2, 0, 1});
  REQUIRE(torch::equal(order.apply(rows, 0, 2).view({-1}), torch::tensor({4, 5, 0, 1, 2, 3})));
  REQUIRE(torch::equal(order.apply(torch::tensor({{10, 11, 12}}), 1), torch::tensor({{12, 10, 11}})));
  REQUIRE(torch::equal(order.inverse().apply(order.apply(rows, 0, 2), 0, 2), rows));
  expect_error(ErrorCode::kInternal, {"cannot permute"}, [&] { order.apply(rows, 0, 3); });
}

TEST_CASE("scores sort from high to low and ties keep their order", "[reorder][unit]") {
  REQUIRE(Permutation::by_falling_score(torch::tensor({1.0, 3.0, 1.0, 5.0})).order() ==
          std::vector<std::int64_t>{3, 1, 0, 2});
  expect_error(ErrorCode::kBadData, {"NaN"}, [] { Permutation::by_falling_score(torch::tensor({1.0, std::nan("")})); });
}
