#include "profile/rank_correlation.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace elastify;

TEST_CASE("equal values share the mean of their ranks", "[profile][unit]") {
  CHECK(average_ranks({3, 1, 3, 2}) == std::vector<double>{3.5, 1, 3.5, 2});
  CHECK(average_ranks({5, 5, 5}) == std::vector<double>{2, 2, 2});
}

TEST_CASE("rank correlation is one for any rising relation and minus one for a falling one", "[profile][unit]") {
  CHECK(spearman({1, 2, 3, 4}, {-8, 0, 0.1, 1e9}) == Approx(1));
  CHECK(spearman({1, 2, 3, 4}, {4, 3, 2, 1}) == Approx(-1));
}

TEST_CASE("rank correlation with ties equals the value worked out by hand", "[profile][unit]") {
  // Ranks 1 2.5 2.5 4 and 1 3 2 4: centred products 2.25 + 0 - 0 + 2.25 = 4.5, squares 4.5 and 5.
  CHECK(spearman({1, 2, 2, 3}, {10, 30, 20, 40}) == Approx(4.5 / std::sqrt(4.5 * 5)));
}

TEST_CASE("rank correlation is undefined without variation", "[profile][unit]") {
  CHECK(std::isnan(spearman({}, {})));
  CHECK(std::isnan(spearman({1}, {1})));
  CHECK(std::isnan(spearman({2, 2}, {1, 3})));
}
