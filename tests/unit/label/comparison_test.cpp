// Policies against brute force on random outcomes.
#include "label/comparison.h"
#include "unit/label/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

DualHead untrained() {
  DualHeadConfig heads;
  heads.model_levels = {20, 60, 100};
  heads.prompt_levels = {10, 40, 70, 100};
  heads.ttft_levels = heads.tpot_levels = {50, 100};
  return make_dual_head(random_tlm_body(tiny_tlm_config(2), 3), heads, 7);
}

}  // namespace

TEST_CASE("no policy beats hindsight, none answers beyond the SLO, and random is the mean of what is feasible", "[label][unit]") {
  const OutcomeTable table = random_outcomes(60, 3);
  const std::vector<TlmRow> rows(60, TlmRow{{2, 0, 0, 7, 3}, {-1, -1, -1, 0, -1}});
  const elrt::LatencyTable latency = random_latency(2);
  const DecisionSpace with(table, latency, true), without(table, latency, false);
  const nlohmann::json result = compare_decisions(untrained(), {with, rows}, without, TaskSplit::kTest);
  const torch::Tensor tasks = table.rows(TaskSplit::kTest), right = table.right();
  REQUIRE(result.at("lattice").size() == 54);
  for (const auto& row : result.at("lattice")) {
    const SloRatios slo{row.at("ttft"), row.at("tpot")};
    double random = 0, oracle = 0, possible = 0, full = 0;
    for (std::int64_t i = 0; i < tasks.numel(); ++i) {
      const std::int64_t task = tasks[i].item<std::int64_t>();
      const torch::Tensor feasible = without.feasible(task, slo), asked = with.feasible(task, slo);
      const double count = feasible.sum().item<double>();
      if (count > 0) random += (feasible & right[task]).sum().item<double>() / count;
      oracle += (asked & right[task]).any().item<bool>() ? 1 : 0;
      possible += asked.any().item<bool>() ? 1 : 0;
      full += slo[0] >= 1 && slo[1] >= 1 && right[task][2][3].item<bool>() ? 1 : 0;
    }
    const double n = static_cast<double>(tasks.numel());
    CHECK(row.at("random").at("accuracy").get<double>() == Approx(random / n));
    CHECK(row.at("oracle").at("accuracy").get<double>() == Approx(oracle / n));
    CHECK(row.at("full").at("accuracy").get<double>() == Approx(full / n));
    for (const char* policy : {"tlm", "proposal"}) {
      CHECK(row.at(policy).at("met").get<double>() == Approx(possible / n));
      CHECK(row.at(policy).at("accuracy").get<double>() <= row.at("oracle").at("accuracy").get<double>());
    }
  }
  const HeatMap map = comparison_map(result, "oracle");
  CHECK(map.x.size() == 9);
  CHECK(map.y.size() == 6);
  CHECK(map.values.at(5).at(8) == 100 * result.at("lattice").back().at("oracle").at("accuracy").get<double>());
  CHECK_THAT(format_comparison(result, {{0.2, 0.5}}), Catch::Matchers::Contains("0.2  0.5"));
}
