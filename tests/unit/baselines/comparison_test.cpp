// What single results say together.
#include "baselines/comparison.h"

#include "support/expect_error.h"

#include <catch2/catch.hpp>

using namespace elastify;
using namespace elastify_test;
using nlohmann::json;

namespace {

json result(const std::string& method, int level, double cost, double before, double after) {
  return {{"method", method},
          {"level", level},
          {"block_ratio", level / 100.0},
          {"loss_before", {{"wiki", before}}},
          {"loss_after", {{"wiki", after}}},
          {"latency", {{"source", "measured"}, {"tpot_share", cost}, {"ttft_share", cost}, {"bytes_share", cost}}},
          {"training_tokens", 1024},
          {"data",
           {{"texts", {{"wiki", "t"}}},
            {"train_rows", "r"},
            {"row_order", std::to_string(level)},
            {"training_tokens", 1024}}}};
}

const json kFull = {{"losses", {{"wiki", 3.0}}}};

}  // namespace

TEST_CASE("a curve is read between its points and nowhere else", "[baselines][unit]") {
  const CostCurve curve{{1, 0.5, 0.7}, {3, 5, 4}};
  CHECK(*loss_at(curve, 0.6) == Approx(4.5));
  CHECK(*loss_at(curve, 0.85) == Approx(3.5));
  CHECK(*loss_at(curve, 1) == 3);
  CHECK_FALSE(loss_at(curve, 0.4));
  CHECK_FALSE(loss_at(curve, 1.1));
  CHECK(*loss_at({{0.5, 0.5}, {5, 4}}, 0.5) == 4);  // of equal costs the better
  CHECK_FALSE(loss_at({}, 0.5));
}

TEST_CASE("methods are compared at our cost, not at the same level", "[baselines][unit]") {
  const json results = {result("ours", 50, 0.6, 5, 4), result("flap", 50, 0.5, 6, 5), result("flap", 70, 0.7, 5, 4.5)};
  const json lines = compare_at_equal_cost(results, kFull);
  REQUIRE(lines.size() == 6);  // three costs, before and after
  for (const json& line : lines) {
    CHECK(line["ours"] == (line["when"] == "before" ? 5 : 4));
    CHECK(line["others"]["flap"].get<double>() == Approx(line["when"] == "before" ? 5.5 : 4.75));
  }
}

TEST_CASE("the full model ends every curve but that of models from nothing", "[baselines][unit]") {
  const json results = {result("ours", 90, 0.9, 4, 3.5), result("flap", 50, 0.5, 6, 5),
                        result("scratch", 50, 0.5, 6, 5)};
  const json line = compare_at_equal_cost(results, kFull)[1];
  CHECK(line["others"]["flap"].get<double>() == Approx(3 + 2 * 0.1 / 0.5));
  CHECK(line["others"]["scratch"].is_null());
}

TEST_CASE("results from other data are refused", "[baselines][unit]") {
  json results = {result("ours", 50, 0.6, 5, 4), result("flap", 50, 0.5, 6, 5), result("flap", 70, 0.7, 5, 4.5)};
  CHECK_NOTHROW(require_equal_data(results));
  for (const char* field : {"train_rows", "row_order"}) {
    json changed = results;
    changed[1]["data"][field] = "another";
    expect_error(ErrorCode::kBadData, {"flap", field, "another"}, [&] { require_equal_data(changed); });
  }
  results[2]["data"]["training_tokens"] = 2048;
  expect_error(ErrorCode::kBadData, {"training_tokens", "1024", "2048"}, [&] { require_equal_data(results); });
}

TEST_CASE("tables name what is missing", "[baselines][unit]") {
  json none = {{"method", "attndrop"}, {"level", 50}, {"infeasible", "without any attention 75 % are left"}};
  const json results = {result("ours", 50, 0.6, 5, 4), result("flap", 50, 0.5, 6, 5), none};
  const json document = {{"full", kFull}, {"results", results}, {"comparison", compare_at_equal_cost(results, kFull)}};
  const std::string text = format_baselines(document);
  CHECK_THAT(text, Catch::Matchers::Contains("without any attention"));
  CHECK_THAT(text, Catch::Matchers::Contains("minus ours"));
  CHECK_FALSE(baseline_charts(results, kFull).empty());
}
