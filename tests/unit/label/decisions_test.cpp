#include "unit/label/support.h"

#include <algorithm>
#include <cmath>

using namespace elastify;
using namespace elastify_test;

namespace {

// A decision's times by the design's formulas, without elrt's scheduler.
struct Times {
  double ttft, tpot, full_ttft, full_tpot;
};
Times times_of(const OutcomeTable& t, const elrt::LatencyTable& latency, std::int64_t task, std::int64_t m,
               std::int64_t p) {
  const auto n = static_cast<std::uint32_t>(t.prompt_tokens[task][3].item<std::int64_t>());
  const auto output = static_cast<std::uint32_t>(t.output_tokens[task].item<std::int64_t>());
  const auto level = static_cast<std::uint32_t>(t.model_levels[static_cast<std::size_t>(m)]);
  const auto share = static_cast<std::uint32_t>(t.prompt_levels[static_cast<std::size_t>(p)]);
  const auto kept = std::max(static_cast<std::uint32_t>(std::ceil(n * share / 100.0)),
                             static_cast<std::uint32_t>(t.prompt_tokens[task][p].item<std::int64_t>()));
  return {latency.ttft_ms(level, kept) + latency.decision_ms(n) + (share < 100 ? latency.score_ms(n) : 0),
          latency.tpot_ms(level, kept + output / 2), latency.ttft_ms(100, n), latency.tpot_ms(100, n + output / 2)};
}

}  // namespace

TEST_CASE("a label is the lightest feasible right decision, or the default: against brute force on the whole lattice",
          "[label][unit]") {
  const OutcomeTable table = random_outcomes(30, 1);
  const torch::Tensor prior = family_accuracy(table, table.rows(TaskSplit::kTrain));
  int right = 0, defaults = 0, none = 0;
  for (const std::uint64_t device : {1, 2, 3}) {
    const elrt::LatencyTable latency = random_latency(device);
    const DecisionSpace space(table, latency, true);
    for (std::int64_t task = 0; task < table.tasks(); ++task) {
      for (const auto& slo : slo_lattice()) {
        // (cost, model, prompt) of every decision: the order of lightness.
        std::vector<std::array<double, 3>> feasible, correct;
        for (std::int64_t m = 0; m < 3; ++m) {
          for (std::int64_t p = 0; p < 4; ++p) {
            const Times t = times_of(table, latency, task, m, p);
            const bool unasked = m == 2 && p == 3 && slo[0] >= 1 && slo[1] >= 1;  // the full decision needs no TLM
            if (!unasked && (t.ttft > slo[0] * t.full_ttft || t.tpot > slo[1] * t.full_tpot)) continue;
            const double cost = t.ttft + (table.output_tokens[task].item<double>() - 1) * t.tpot;
            feasible.push_back({cost, static_cast<double>(m), static_cast<double>(p)});
            if (table.chosen[task][m][p].item<std::int64_t>() == table.answer[task].item<std::int64_t>())
              correct.push_back(feasible.back());
          }
        }
        const auto label = decision_label(space, task, slo, prior);
        if (feasible.empty()) {
          CHECK_FALSE(label.has_value());
          ++none;
          continue;
        }
        REQUIRE(label.has_value());
        CHECK(label->right == !correct.empty());
        if (!correct.empty()) {
          const auto lightest = *std::min_element(correct.begin(), correct.end());
          CHECK(label->decision ==
                DecisionIndex{static_cast<std::int64_t>(lightest[1]), static_cast<std::int64_t>(lightest[2])});
          ++right;
        } else {
          const torch::Tensor mine = prior[table.family[task].item<std::int64_t>()];
          double best = -1;
          for (const auto& [cost, m, p] : feasible)
            best = std::max(best, mine[static_cast<std::int64_t>(m)][static_cast<std::int64_t>(p)].item<double>());
          CHECK(mine[label->decision.model][label->decision.prompt].item<double>() == best);
          ++defaults;
        }
      }
    }
  }
  CHECK(right > 100);
  CHECK(defaults > 100);
  CHECK(none > 100);
}

TEST_CASE("family accuracy is a mean over the given rows, and over all where a family has none", "[label][unit]") {
  const OutcomeTable table = random_outcomes(12, 4);
  const torch::Tensor right = table.right().to(torch::kFloat64);
  const torch::Tensor share = family_accuracy(table, torch::tensor(std::vector<std::int64_t>{0, 2, 6}));
  CHECK(torch::allclose(share[0], (right[0] + right[2] + right[6]) / 3));
  CHECK(torch::allclose(share[1], share[0]));
}

TEST_CASE("decisions need latencies of every labelled level", "[label][unit]") {
  const OutcomeTable table = random_outcomes(3, 1);
  const elrt::LatencyTable latency = random_latency(1, {20, 100});
  expect_error(ErrorCode::kUsage, {"latency table lacks level 60"}, [&] { DecisionSpace(table, latency, true); });
}
