// SLO tokens: which token an SLO gets, and what their embeddings start from.
#include <limits>

#include "support.h"

using namespace elastify;
using namespace elastify_test;

TEST_CASE("an SLO gets the highest level that is not above it", "[tlm][unit]") {
  const SloTokens slo(1000, {20, 50, 80, 100}, {50, 100});
  CHECK(slo.count() == 6);
  CHECK(slo.names() ==
        std::vector<std::string>{"[TTFT 20]", "[TTFT 50]", "[TTFT 80]", "[TTFT 100]", "<TPOT 50>", "<TPOT 100>"});
  CHECK(slo.ids(0.5, 0.5) == SloIds{1001, 1004});
  CHECK(slo.ids(0.79, 0.99) == SloIds{1001, 1004});
  CHECK(slo.ids(0.8, 1.0) == SloIds{1002, 1005});
  CHECK(slo.ids(0.01, 0.2) == SloIds{1000, 1004});  // below the lowest
  CHECK(slo.ids(7, 1e9) == SloIds{1003, 1005});     // above the highest
  // Every tenth finds its own level although 0.3 * 100 is not 30.
  const SloTokens tenths(0, {10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, {100});
  for (int level = 1; level <= 10; ++level) CHECK(tenths.ids(level / 10.0, 1).ttft == level - 1);
}

TEST_CASE("an SLO that is none is refused", "[tlm][unit]") {
  const SloTokens slo(1000, {20, 100}, {50, 100});
  for (const double bad : {0.0, -0.5, std::numeric_limits<double>::quiet_NaN()}) {
    expect_error(ErrorCode::kUsage, {"TTFT"}, [&] { slo.ids(bad, 1); });
    expect_error(ErrorCode::kUsage, {"TPOT"}, [&] { slo.ids(1, bad); });
  }
  expect_error(ErrorCode::kUsage, {"ttft_levels", "rising"}, [] { SloTokens(1, {50, 50}, {100}); });
  expect_error(ErrorCode::kUsage, {"tpot_levels", "[1, 100]"}, [] { SloTokens(1, {50}, {0, 100}); });
  expect_error(ErrorCode::kUsage, {"ttft_levels", "at least one"}, [] { SloTokens(1, {}, {100}); });
}

TEST_CASE("SLO embeddings start mutually orthogonal and of one length", "[tlm][unit]") {
  for (const std::int64_t width : {20, 24, 128}) {
    const torch::Tensor rows = orthogonal_rows(20, width, 3, 5).to(torch::kFloat64);
    CHECK(difference(torch::matmul(rows, rows.t()), 9 * torch::eye(20, torch::kFloat64)) < 1e-5);  // float32 rows
  }
  CHECK_FALSE(torch::equal(orthogonal_rows(4, 8, 1, 5), orthogonal_rows(4, 8, 1, 6)));
  expect_error(ErrorCode::kUsage, {"21 SLO tokens", "20 dimensions"}, [] { orthogonal_rows(21, 20, 1, 5); });
}
