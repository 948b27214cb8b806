#include "eval/interval.h"

#include <catch2/catch.hpp>

using elastify::wilson_interval;

namespace {
void expect(std::size_t successes, std::size_t trials, double low, double high) {
  const auto interval = wilson_interval(successes, trials);
  INFO(successes << " of " << trials);
  CHECK(interval.low == Approx(low).margin(5e-5));
  CHECK(interval.high == Approx(high).margin(5e-5));
}
}  // namespace

TEST_CASE("Wilson's interval has its published and hand-worked values", "[eval][unit]") {
  // Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0.0, 0.1611);
  expect(1, 29, 0.0061, 0.1718);
  // z^2 = 3.84146: 0.5 -+ 1.95996 / 1.384146 * sqrt(0.025 + 0.0096036); 10 / 13.84146.
  expect(5, 10, 0.23659, 0.76341);
  expect(10, 10, 0.72247, 1.0);
}

TEST_CASE("no trials say nothing, and bounds stay inside", "[eval][unit]") {
  expect(0, 0, 0, 1);
  CHECK(wilson_interval(0, 7).low == 0);
  CHECK(wilson_interval(7, 7).high == 1);
}
