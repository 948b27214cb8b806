// Other methods' levels by hand.
#include "evaluate/methods.h"

#include "unit/label/support.h"

using namespace elastify;
using namespace elastify_test;
using nlohmann::json;

namespace {

json tally(double calls, double mail) {
  return {{"families", {{"calls", {{"accuracy", calls}, {"n", 3}}}, {"mail", {{"accuracy", mail}, {"n", 3}}}}}};
}

json result(const std::string& method, double ttft, double tpot, double calls, double mail) {
  return {{"method", method}, {"latency", {{"ttft_share", ttft}, {"tpot_share", tpot}}}, {"tasks", tally(calls, mail)}};
}

}  // namespace

TEST_CASE("a method answers with its most accurate level that keeps the objective", "[evaluate][unit]") {
  const json document = {{"full", {{"tasks", tally(0.9, 0.8)}}},
                         {"results",
                          {result("flap", 0.7, 0.6, 0.6, 0.2),
                           result("flap", 0.5, 0.55, 0.4, 0.3),
                           result("contextual", 0.1, 0.1, 1, 1),
                           {{"method", "laco"}, {"infeasible", "no level"}}}}};
  const MethodLevels methods = method_levels(document);
  REQUIRE(methods.size() == 1);  // no bounds, and nothing without tasks
  REQUIRE(methods.at("flap").size() == 3);

  const OutcomeTable table = random_outcomes(30, 3);
  const elrt::LatencyTable latency = random_latency(2);
  const DecisionSpace space(table, latency, false);
  const MethodServer server(space, methods.at("flap"));
  for (std::int64_t task = 0; task < 30; ++task) {
    const bool mail = table.family[task].item<std::int64_t>() == 1;
    const bool one_token = table.output_tokens[task].item<std::int64_t>() == 1;
    CHECK(server.under(task, {1, 1}).right == (mail ? 0.8 : 0.9));
    CHECK(server.under(task, {0.9, 0.9}).right == (mail ? 0.3 : 0.6));  // the smaller level is better at mail
    CHECK(server.under(task, {0.6, 0.55}).right == (mail ? 0.3 : 0.4));
    CHECK(server.under(task, {0.6, 0.5}).met == one_token);
    const Service none = server.under(task, {0.4, 1});
    CHECK_FALSE(none.met);
    const auto times = space.full_times()[task];
    const double further = static_cast<double>(table.output_tokens[task].item<std::int64_t>() - 1);
    CHECK(none.cost_ms == Approx(0.5 * times[0].item<double>() + 0.55 * further * times[1].item<double>()));
    // A wait of 0.3 of the full TTFT leaves 0.6 of 0.9.
    CHECK(server.under(task, {0.9, 0.9}, 0.3 * times[0].item<double>()).right == (mail ? 0.3 : 0.4));
  }
}

TEST_CASE("what is served is set against the best other method of each objective, our own levels aside",
          "[evaluate][unit]") {
  LoadedRun run{random_outcomes(30, 3), {}, {}, random_latency(2), nullptr, nullptr, {}};
  run.without_tlm = std::make_unique<DecisionSpace>(run.table, run.latency, false);
  const MethodLevel full{1, 1, {{"calls", 0.9}, {"mail", 0.9}}}, half{0.5, 0.5, {{"calls", 0.4}, {"mail", 0.4}}};
  const MethodLevel perfect{0.1, 0.1, {{"calls", 1}, {"mail", 1}}};
  const json lattice = {{{"ttft", 1.0}, {"tpot", 1.0}, {"tlm", {{"accuracy", 0.95}}}},
                        {{"ttft", 0.6}, {"tpot", 0.6}, {"tlm", {{"accuracy", 0.3}}}},
                        {{"ttft", 0.4}, {"tpot", 1.0}, {"tlm", {{"accuracy", 0.0}}}}};
  const json found = compare_methods(run, {{"flap", {full, half}}, {"laco", {full}}, {"ours", {perfect}}}, lattice);
  CHECK(found.at("methods").at("flap").at("mean").get<double>() == Approx((0.9 + 0.4 + 0) / 3));
  CHECK(found.at("methods").at("ours").at("mean").get<double>() == Approx(1));
  CHECK(found.at("best").at(1) == "flap");
  CHECK(found.at("gain").at(0).get<double>() == Approx(0.05));
  CHECK(found.at("mean_gain").get<double>() == Approx((0.05 - 0.1 + 0) / 3));
  CHECK(found.at("cells_ahead").get<double>() == Approx(1.0 / 3));  // a draw is not ahead
}
