// The yardstick on outcomes whose truth is known.
#include "label/yardstick.h"
#include "unit/label/support.h"

using namespace elastify;
using namespace elastify_test;

TEST_CASE("where all answers are luck, hindsight shines and the corrected bound does not", "[yardstick][unit]") {
  const std::int64_t count = 600;
  const OutcomeTable table = random_outcomes(count, 3);
  const elrt::LatencyTable latency = random_latency(2);
  const DecisionSpace space(table, latency, true);
  const torch::Tensor tasks = table.rows(TaskSplit::kTest);
  torch::manual_seed(9);
  RepeatedOutcomes repeats = {table.right().index_select(0, tasks)};
  for (int r = 0; r < 3; ++r) repeats.push_back(torch::rand(repeats[0].sizes()) < 0.4);  // the chance of the table's
  PolicyScores scores{{{1, 1}, {0.8, 0.9}}, {}, {}};
  for (const auto& policy : kPolicies) scores.right[policy] = torch::full({tasks.numel(), 2}, 0.4, torch::kFloat64);
  const nlohmann::json result = yardstick(scores, space, TaskSplit::kTest, repeats);
  const auto loosest = result.at("lattice").at(0);
  CHECK(loosest.at("hindsight").get<double>() > 0.9);
  CHECK(loosest.at("at_most").get<double>() > 0.6);
  CHECK(loosest.at("corrected").get<double>() == Approx(0.4).margin(4 * loosest.at("corrected_error").get<double>()));
  CHECK(result.at("mean").at("gain").get<double>() == Approx(0).margin(1e-12));
  CHECK(result.at("families").size() == 2);
  CHECK(result.at("repeats") == 4);
  // A policy that is right 0.3 more often than the best single decision closes that much of the corrected bound's lead.
  scores.right["single"] = torch::full({tasks.numel(), 2}, 0.1, torch::kFloat64);
  const nlohmann::json behind = yardstick(scores, space, TaskSplit::kTest, repeats).at("mean");
  CHECK(behind.at("gap_closed").get<double>() == Approx(0.3 / (behind.at("corrected").get<double>() - 0.1)));
  CHECK_THAT(format_yardstick(result), Catch::Matchers::Contains("calls") && Catch::Matchers::Contains("gap closed"));
}
