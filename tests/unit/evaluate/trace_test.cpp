// Traces against their definition.
#include "evaluate/trace.h"

#include <cmath>
#include <map>

#include "unit/label/support.h"

using namespace elastify;

TEST_CASE("apps share requests by the softmax of alpha i", "[evaluate][unit]") {
  for (const double share : app_shares(0)) CHECK(share == Approx(1.0 / 6));
  const auto strict = app_shares(0.25), patient = app_shares(-0.25);
  for (std::size_t i = 0; i + 1 < strict.size(); ++i) {
    CHECK(strict[i + 1] / strict[i] == Approx(std::exp(0.25)));
    CHECK(patient[i + 1] / patient[i] == Approx(std::exp(-0.25)));
  }
  // The published SLOs fall in strictness from the first to the last.
  for (std::size_t i = 0; i + 1 < trace_apps().size(); ++i) {
    const auto &loose = trace_apps()[i].slo, &tight = trace_apps()[i + 1].slo;
    CHECK((tight[0] <= loose[0] && tight[1] <= loose[1]));
  }
}

TEST_CASE("a trace has the counts of its shares, every task as often as any other, and Poisson arrivals",
          "[evaluate][unit]") {
  const std::vector<std::int64_t> tasks = {3, 5, 8, 13};
  const auto trace = make_trace({4002, 0.25, 20, 7}, tasks);
  REQUIRE(trace.size() == 4002);
  const auto shares = app_shares(0.25);
  std::map<std::size_t, double> apps;
  std::map<std::int64_t, int> asked;
  std::vector<double> gaps;
  double last = 0;
  for (const auto& request : trace) {
    apps[request.app] += 1;
    ++asked[request.task];
    gaps.push_back(request.arrival_ms - last);
    last = request.arrival_ms;
  }
  for (std::size_t app = 0; app < shares.size(); ++app) CHECK(std::abs(apps[app] - 4002 * shares[app]) < 1);
  for (const std::int64_t task : tasks) CHECK((asked[task] == 1000 || asked[task] == 1001));
  // An exponential distribution has its mean for a standard deviation, and is above its mean with probability 1/e.
  // Four standard errors of each estimate: 4 x 20 / sqrt(4002), and 4 sqrt(p (1 - p) / 4002).
  double mean = 0, above = 0;
  for (const double gap : gaps) {
    CHECK(gap > 0);
    mean += gap / 4002;
    above += gap > 20 ? 1.0 / 4002 : 0;
  }
  CHECK(std::abs(mean - 20) < 1.3);
  CHECK(std::abs(above - std::exp(-1)) < 0.031);
}

TEST_CASE("equal settings give equal traces, and without a gap all arrive at once", "[evaluate][unit]") {
  const auto one = make_trace({50, -0.25, 5, 3}, {1, 2}), same = make_trace({50, -0.25, 5, 3}, {1, 2}),
             other = make_trace({50, -0.25, 5, 4}, {1, 2});
  bool differs = false;
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK((one[i].arrival_ms == same[i].arrival_ms && one[i].app == same[i].app && one[i].task == same[i].task));
    differs = differs || one[i].app != other[i].app;
  }
  CHECK(differs);
  for (const auto& request : make_trace({50, 0, 0, 3}, {1})) CHECK(request.arrival_ms == 0);
}
