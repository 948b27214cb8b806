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
               std::int64_t p, bool tlm) {
  const auto n = static_cast<std::uint32_t>(t.prompt_tokens[task][3].item<std::int64_t>());
  const auto output = static_cast<std::uint32_t>(t.output_tokens[task].item<std::int64_t>());
  const auto level = static_cast<std::uint32_t>(t.model_levels[static_cast<std::size_t>(m)]);
  const auto share = static_cast<std::uint32_t>(t.prompt_levels[static_cast<std::size_t>(p)]);
  const auto kept = std::max(static_cast<std::uint32_t>(std::ceil(n * share / 100.0)),
                             static_cast<std::uint32_t>(t.prompt_tokens[task][p].item<std::int64_t>()));
  const double asked = tlm || share < 100 ? latency.decision_ms(n) : 0;
  return {latency.ttft_ms(level, kept) + asked + (share < 100 ? latency.score_ms(n) : 0),
          latency.tpot_ms(level, kept + output / 2), latency.ttft_ms(100, n), latency.tpot_ms(100, n + output / 2)};
}

// A pair's decode level, feasibility and cost under an SLO, by trying every decode level.
struct Tried {
  std::int64_t decode = 0;
  bool feasible = false;
  double cost = 0;
};
Tried try_pair(const OutcomeTable& t, const elrt::LatencyTable& latency, std::int64_t task, std::int64_t m,
               std::int64_t p, const SloRatios& slo, bool tlm, bool phases) {
  const double outputs = t.output_tokens[task].item<double>();
  Tried tried;
  tried.decode = phases && outputs > 1 ? 0 : m;
  for (std::int64_t d = phases ? 0 : m; d <= m; ++d) {
    const Times by = times_of(t, latency, task, d, p, tlm);
    if (outputs == 1 || by.tpot <= slo[1] * by.full_tpot) tried.decode = d;
  }
  const Times read = times_of(t, latency, task, m, p, tlm), written = times_of(t, latency, task, tried.decode, p, tlm);
  const bool in_time = outputs == 1 || written.tpot <= slo[1] * written.full_tpot;
  const bool unasked = tlm && m == 2 && p == 3 && slo[0] >= 1;  // the full pair needs no TLM
  tried.feasible = in_time && (unasked || read.ttft <= slo[0] * read.full_ttft);
  tried.cost = read.ttft + (outputs - 1) * written.tpot;
  return tried;
}

}  // namespace

TEST_CASE("under an SLO every pair has the decode level, the outcome and the cost that trying all gives it",
          "[label][unit]") {
  int below = 0, one_token = 0, infeasible = 0;
  for (const bool labelled : {true, false}) {
    OutcomeTable table = random_outcomes(12, 11, labelled);
    table.output_tokens[3] = 1;
    for (const bool tlm : {true, false}) {
      for (const bool phases : {true, false}) {
        const elrt::LatencyTable latency = random_latency(7);
        const DecisionSpace space(table, latency, tlm, phases);
        CHECK(space.phases() == (phases && labelled));
        for (const auto& slo : slo_lattice()) {
          const SloView view = space.under(slo);
          for (std::int64_t task = 0; task < table.tasks(); ++task) {
            for (std::int64_t m = 0; m < 3; ++m) {
              for (std::int64_t p = 0; p < 4; ++p) {
                const Tried tried = try_pair(table, latency, task, m, p, slo, tlm, phases && labelled);
                REQUIRE(view.decode[task][m][p].item<std::int64_t>() == tried.decode);
                REQUIRE(view.feasible[task][m][p].item<bool>() == tried.feasible);
                REQUIRE(view.cost[task][m][p].item<double>() == Approx(tried.cost).epsilon(1e-12));
                REQUIRE(view.right[task][m][p].item<bool>() ==
                        (table.chosen[task][m][tried.decode][p].item<std::int64_t>() ==
                         table.answer[task].item<std::int64_t>()));
                below += tried.feasible && tried.decode < m ? 1 : 0;
                one_token += task == 3 && tried.feasible ? 1 : 0;
                infeasible += tried.feasible ? 0 : 1;
              }
            }
            const Tried full = try_pair(table, latency, task, 2, 3, slo, true, phases && labelled);
            CHECK(view.full[task].item<bool>() == (slo[0] >= 1 && full.feasible));
          }
        }
      }
    }
  }
  CHECK(below > 100);
  CHECK(one_token > 100);
  CHECK(infeasible > 1000);
}

TEST_CASE("rows under an SLO each are those of the SLO", "[label][unit]") {
  const OutcomeTable table = random_outcomes(6, 2);
  const elrt::LatencyTable latency = random_latency(2);
  const DecisionSpace space(table, latency, true);
  const torch::Tensor tasks = torch::tensor(std::vector<std::int64_t>{5, 0, 5});
  const torch::Tensor ratios = torch::tensor(std::vector<double>{0.3, 0.5, 1, 0.6, 1, 1}, torch::kFloat64).view({3, 2});
  const SloView rows = space.under(tasks, ratios);
  const std::vector<SloRatios> slos = {{0.3, 0.5}, {1, 0.6}, {1, 1}};
  for (std::int64_t row = 0; row < 3; ++row) {
    const SloView all = space.under(slos[static_cast<std::size_t>(row)]);
    const std::int64_t task = tasks[row].item<std::int64_t>();
    CHECK(torch::equal(rows.decode[row], all.decode[task]));
    CHECK(torch::equal(rows.feasible[row], all.feasible[task]));
    CHECK(torch::equal(rows.right[row], all.right[task]));
    CHECK(torch::equal(rows.cost[row], all.cost[task]));
    CHECK((rows.by_cost(row) == all.by_cost(task)));
  }
}

TEST_CASE("a label is the lightest feasible right decision, or the default: against brute force on the whole lattice",
          "[label][unit]") {
  const OutcomeTable table = random_outcomes(30, 1);
  int right = 0, defaults = 0, none = 0;
  for (const std::uint64_t device : {1, 2, 3}) {
    const elrt::LatencyTable latency = random_latency(device);
    const DecisionSpace space(table, latency, true);
    for (const auto& slo : slo_lattice()) {
      const SloView view = space.under(slo);
      const torch::Tensor prior = family_accuracy(table, view.right, table.rows(TaskSplit::kTrain));
      for (std::int64_t task = 0; task < table.tasks(); ++task) {
        // (cost, model, prompt) of every decision: the order of lightness.
        std::vector<std::array<double, 3>> feasible, correct;
        for (std::int64_t m = 0; m < 3; ++m) {
          for (std::int64_t p = 0; p < 4; ++p) {
            const Tried tried = try_pair(table, latency, task, m, p, slo, true, true);
            if (!tried.feasible) continue;
            feasible.push_back({tried.cost, static_cast<double>(m), static_cast<double>(p)});
            if (table.chosen[task][m][tried.decode][p].item<std::int64_t>() == table.answer[task].item<std::int64_t>())
              correct.push_back(feasible.back());
          }
        }
        const torch::Tensor mine = prior[table.family[task].item<std::int64_t>()];
        const auto label = decision_label(view, task, mine);
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
  const torch::Tensor right = table.right_at_one_level();
  const torch::Tensor values = right.to(torch::kFloat64);
  const torch::Tensor share = family_accuracy(table, right, torch::tensor(std::vector<std::int64_t>{0, 2, 6}));
  CHECK(torch::allclose(share[0], (values[0] + values[2] + values[6]) / 3));
  CHECK(torch::allclose(share[1], share[0]));
}

TEST_CASE("decisions need latencies of every labelled level", "[label][unit]") {
  const OutcomeTable table = random_outcomes(3, 1);
  const elrt::LatencyTable latency = random_latency(1, {20, 100});
  expect_error(ErrorCode::kUsage, {"latency table lacks level 60"}, [&] { DecisionSpace(table, latency, true); });
}
