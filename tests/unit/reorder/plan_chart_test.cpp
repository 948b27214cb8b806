// The plan's picture has the plan's counts.
#include "reorder/plan_chart.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

using namespace elastify;

TEST_CASE("a plan's charts hold every level's units by layer", "[reorder][unit]") {
  ElasticPlan plan;
  plan.kind = "global";
  plan.anchors = {1};
  plan.levels.resize(2);
  plan.levels[0].level = 20;
  plan.levels[0].widths = {{1, 2}, {32, 64}};
  plan.levels[1].level = 100;
  plan.levels[1].widths = {{4, 2}, {128, 64}};
  const std::vector<Chart> charts = plan_charts(plan);
  REQUIRE(charts.size() == 2);
  const auto& groups = std::get<HeatMap>(charts[0]);
  const auto& neurons = std::get<HeatMap>(charts[1]);
  CHECK(groups.x == std::vector<double>{0, 1});
  CHECK(groups.y == std::vector<double>{20, 100});
  CHECK(groups.values == std::vector<std::vector<double>>{{25, 100}, {100, 100}});
  CHECK(groups.labels == std::vector<std::vector<std::string>>{{"1", "2"}, {"4", "2"}});
  CHECK(neurons.values == std::vector<std::vector<double>>{{25, 100}, {100, 100}});
  CHECK(neurons.labels == std::vector<std::vector<std::string>>{{"32", "64"}, {"128", "64"}});
  CHECK_THAT(groups.title, Catch::Matchers::Contains("KV groups") && Catch::Matchers::Contains("anchor layers: 1"));
  CHECK_THAT(neurons.title, Catch::Matchers::Contains("Neurons"));
}
