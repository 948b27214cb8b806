// Policies against brute force on random outcomes.
#include "label/comparison.h"
#include "unit/label/support.h"

#include <optional>

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

// Right answers of the policies that ask no decision-head, by plain loops.
class BruteForce {
 public:
  BruteForce(const OutcomeTable& table, const DecisionSpace& space, SloRatios slo)
      : table_(table), view_(space.under(slo)) {}

  double single() const {
    return mean_over_test([&](std::int64_t task) {
      const std::int64_t family = family_of(task);
      const auto hits = [&](DecisionIndex d) { return count(family, d, true); };
      const auto chosen = pick(
          view_.by_cost(validation_of(family).front()), [](DecisionIndex) { return true; }, hits);
      return allowed(task, *chosen) ? chosen : best_of_family(task, [](DecisionIndex) { return true; });
    });
  }
  double model_only() const {
    return mean_over_test(
        [&](std::int64_t task) { return best_of_family(task, [](DecisionIndex d) { return d.prompt == 3; }); });
  }
  double prompt_only() const {
    return mean_over_test(
        [&](std::int64_t task) { return best_of_family(task, [](DecisionIndex d) { return d.model == 2; }); });
  }

 private:
  std::int64_t family_of(std::int64_t task) const { return table_.family[task].item<std::int64_t>(); }
  bool right(std::int64_t task, DecisionIndex d) const { return view_.right[task][d.model][d.prompt].item<bool>(); }
  bool allowed(std::int64_t task, DecisionIndex d) const {
    return view_.feasible[task][d.model][d.prompt].item<bool>();
  }

  std::vector<std::int64_t> validation_of(std::int64_t family) const {
    std::vector<std::int64_t> found;
    const torch::Tensor tasks = table_.rows(TaskSplit::kValidation);
    for (std::int64_t i = 0; i < tasks.numel(); ++i) {
      if (family_of(tasks[i].item<std::int64_t>()) == family) found.push_back(tasks[i].item<std::int64_t>());
    }
    return found;
  }

  // Of a family's validation tasks, those that a decision answers, within the SLO where that is wanted.
  double count(std::int64_t family, DecisionIndex d, bool within) const {
    double found = 0;
    for (const std::int64_t task : validation_of(family))
      found += right(task, d) && (!within || allowed(task, d)) ? 1 : 0;
    return found;
  }

  template <typename Offered, typename Value>
  static std::optional<DecisionIndex> pick(const std::vector<DecisionIndex>& lightest_first, const Offered& offered,
                                           const Value& value) {
    std::optional<DecisionIndex> best;
    for (const DecisionIndex d : lightest_first) {
      if (offered(d) && (!best || value(d) > value(*best))) best = d;
    }
    return best;
  }

  template <typename Offered>
  std::optional<DecisionIndex> best_of_family(std::int64_t task, const Offered& offered) const {
    return pick(
        view_.by_cost(task), [&](DecisionIndex d) { return offered(d) && allowed(task, d); },
        [&](DecisionIndex d) { return count(family_of(task), d, false); });
  }

  template <typename Choose>
  double mean_over_test(const Choose& choose) const {
    const torch::Tensor tasks = table_.rows(TaskSplit::kTest);
    double found = 0;
    for (std::int64_t i = 0; i < tasks.numel(); ++i) {
      const std::int64_t task = tasks[i].item<std::int64_t>();
      const auto decision = choose(task);
      found += decision && right(task, *decision) ? 1 : 0;
    }
    return found / static_cast<double>(tasks.numel());
  }

  const OutcomeTable& table_;
  SloView view_;
};

// compare_decisions()'s result against plain loops.
void check_against_loops(const nlohmann::json& result, const OutcomeTable& table, const DecisionSpace& with,
                         const DecisionSpace& without) {
  const torch::Tensor tasks = table.rows(TaskSplit::kTest);
  REQUIRE(result.at("lattice").size() == 54);
  for (const auto& row : result.at("lattice")) {
    const SloRatios slo{row.at("ttft"), row.at("tpot")};
    const SloView plain = without.under(slo), tlm = with.under(slo);
    double random = 0, oracle = 0, possible = 0, full = 0;
    for (std::int64_t i = 0; i < tasks.numel(); ++i) {
      const std::int64_t task = tasks[i].item<std::int64_t>();
      const torch::Tensor feasible = plain.feasible[task], asked = tlm.feasible[task], right = plain.right[task];
      const double count = feasible.sum().item<double>();
      if (count > 0) random += (feasible & right).sum().item<double>() / count;
      oracle += (asked & right).any().item<bool>() ? 1 : 0;
      possible += asked.any().item<bool>() ? 1 : 0;
      const bool in_time = slo[1] >= 1 || table.output_tokens[task].item<std::int64_t>() == 1;
      full += slo[0] >= 1 && in_time && table.right()[task][2][2][3].item<bool>() ? 1 : 0;
    }
    const double n = static_cast<double>(tasks.numel());
    CHECK(row.at("random").at("accuracy").get<double>() == Approx(random / n));
    CHECK(row.at("oracle").at("accuracy").get<double>() == Approx(oracle / n));
    CHECK(row.at("full").at("accuracy").get<double>() == Approx(full / n));
    const BruteForce expected(table, without, slo);
    CHECK(row.at("single").at("accuracy").get<double>() == Approx(expected.single()));
    CHECK(row.at("model_only").at("accuracy").get<double>() == Approx(expected.model_only()));
    CHECK(row.at("prompt_only").at("accuracy").get<double>() == Approx(expected.prompt_only()));
    for (const char* policy : {"tlm", "head"}) {
      CHECK(row.at(policy).at("met").get<double>() == Approx(possible / n));
      CHECK(row.at(policy).at("accuracy").get<double>() <= row.at("oracle").at("accuracy").get<double>());
    }
  }
}

}  // namespace

TEST_CASE("no policy beats hindsight, none answers beyond the SLO, and random is the mean of what is feasible",
          "[label][unit]") {
  const OutcomeTable table = random_outcomes(60, 3);
  const std::vector<TlmRow> rows(60, TlmRow{{2, 0, 0, 7, 3}, {-1, -1, -1, 0, -1}});
  const elrt::LatencyTable latency = random_latency(2);
  const DecisionSpace with(table, latency, true), without(table, latency, false);
  const DualHead model = untrained();
  const ChoiceRule rule{torch::rand({3, 4}, torch::kFloat64), 0.0};
  PolicyScores scores;
  const nlohmann::json result = compare_phases(propose_lattice(model, {with, rows}, TaskSplit::kTest), rule, with,
                                               latency, TaskSplit::kTest, &scores);
  CHECK(scores.right.at("oracle").mean().item<double>() ==
        Approx(result.at("mean").at("oracle").at("accuracy").get<double>()));
  check_against_loops(result, table, with, without);
  const DecisionSpace one_with(table, latency, true, false), one_without(table, latency, false, false);
  check_against_loops(result.at("one_level"), table, one_with, one_without);
  // More is feasible where a level for each phase may be chosen, at every objective.
  double gained = 0;
  for (std::size_t s = 0; s < 54; ++s) {
    const auto met = [&](const nlohmann::json& of) {
      return of.at("lattice").at(s).at("oracle").at("met").get<double>();
    };
    CHECK(met(result) >= met(result.at("one_level")));
    gained += result.at("lattice").at(s).at("prompt_only").at("met").get<double>() -
              result.at("one_level").at("lattice").at(s).at("prompt_only").at("met").get<double>();
  }
  CHECK(gained > 0);
  CHECK(result.at("mean") != result.at("one_level").at("mean"));
  CHECK_THAT(format_comparison(result, {{0.2, 0.5}}), Catch::Matchers::Contains("one level"));
  const OutcomeTable plain = random_outcomes(60, 3, false);
  const DecisionSpace plain_space(plain, latency, true);
  CHECK_FALSE(compare_phases(propose_lattice(model, {plain_space, rows}, TaskSplit::kTest), rule, plain_space, latency,
                             TaskSplit::kTest)
                  .contains("one_level"));
  const HeatMap map = comparison_map(result, "oracle");
  CHECK_THAT(map.title, Catch::Matchers::Contains("within the objective") && Catch::Matchers::Contains("hindsight") &&
                            Catch::Matchers::Contains("95 % interval"));
  for (const auto& policy : kPolicies) CHECK((policy == "random" || policy_name(policy) != policy));
  CHECK(map.x.size() == 9);
  CHECK(map.y.size() == 6);
  CHECK(map.values.at(5).at(8) == 100 * result.at("lattice").back().at("oracle").at("accuracy").get<double>());
  CHECK_THAT(format_comparison(result, {{0.2, 0.5}}), Catch::Matchers::Contains("0.2  0.5"));
}

TEST_CASE("a looser objective that answers worse is named where noise does not explain it", "[label][unit]") {
  PolicyScores scores{slo_lattice(), {}, {}, {}, {}};
  const torch::Tensor level = torch::zeros({100, 54}, torch::kFloat64);
  const auto column = [&](SloRatios slo) {
    return static_cast<std::int64_t>(std::find(scores.slos.begin(), scores.slos.end(), slo) - scores.slos.begin());
  };
  // Half right everywhere; at TTFT 0.4 and TPOT 0.5 twenty of these are lost, at 0.9 and 0.9 two.
  level.narrow(0, 0, 50).fill_(1);
  level.select(1, column({0.4, 0.5})).narrow(0, 0, 20).fill_(0);
  level.select(1, column({0.9, 0.9})).narrow(0, 0, 2).fill_(0);
  scores.right["tlm"] = level;
  const nlohmann::json falls = looser_falls(scores, "tlm");
  // A lower column is entered from 0.3, 0.5 alone: nothing is tighter in TPOT. Two of a hundred are 1.4 standard
  // errors.
  REQUIRE(falls.size() == 1);
  CHECK(falls.at(0).at("from") == nlohmann::json({0.3, 0.5}));
  CHECK(falls.at(0).at("to") == nlohmann::json({0.4, 0.5}));
  CHECK(falls.at(0).at("change").get<double>() == Approx(-0.2));
  scores.right["tlm"] = 1 - level;  // gains are no falls, but for leaving the column, upwards in both ratios
  CHECK(looser_falls(scores, "tlm").size() == 2);
}
