#include "label/comparison.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/interval.h"
#include "label/luck.h"

namespace elastify {
namespace {

using nlohmann::json;

// One task under one SLO: where the policies' results go.
struct Cell {
  PolicyScores& scores;
  std::int64_t task, slo;  // rows and columns of the scores

  void add(const std::string& policy, double right, double met) {
    scores.right.at(policy)[task][slo] = right;
    scores.met.at(policy)[task][slo] = met;
  }
};

void judge(Cell cell, const PolicyCase& one) {
  const torch::Tensor right = one.without.right[one.row], without = one.without.feasible[one.row];
  const auto is_right = right.accessor<bool, 2>();
  for (const auto& policy : kPolicies) {
    if (policy == "random") continue;
    const Choice choice = choose(policy, one);
    cell.add(policy, choice && is_right[choice->model][choice->prompt] ? 1 : 0, choice ? 1 : 0);
  }
  const double count = without.sum().item<double>();
  cell.add("random", count > 0 ? (right & without).sum().item<double>() / count : 0, count > 0 ? 1 : 0);
}

// {POLICY: {accuracy, met}} of what `take` leaves of each [tasks, slos].
template <typename Take>
json means_of(const PolicyScores& scores, const Take& take) {
  json result = json::object();
  for (const auto& policy : kPolicies) {
    const auto mean = [&](const torch::Tensor& values) { return take(values).mean().template item<double>(); };
    result[policy] = {{"accuracy", mean(scores.right.at(policy))}, {"met", mean(scores.met.at(policy))}};
  }
  return result;
}

// {FAMILY: mean over its tasks and the lattice}
json means_by_family(const PolicyScores& scores) {
  json result = json::object();
  for (std::size_t f = 0; f < scores.families.size(); ++f) {
    const torch::Tensor rows = (scores.family == static_cast<std::int64_t>(f)).nonzero().squeeze(1);
    if (rows.numel() == 0) continue;
    result[scores.families[f]] =
        means_of(scores, [&](const torch::Tensor& values) { return values.index_select(0, rows); });
    result[scores.families[f]]["tasks"] = rows.numel();
  }
  return result;
}

}  // namespace

std::vector<Proposals> propose_lattice(const DualHead& model, const DecisionData& data, TaskSplit split) {
  std::vector<Proposals> proposals;
  for (const SloRatios& slo : slo_lattice())
    proposals.push_back(propose(model, data.rows, data.space.table().rows(split), slo));
  return proposals;
}

PolicyScores judge_policies(const std::vector<Proposals>& proposals, const ChoiceRule& rule, const DecisionSpace& space,
                            const DecisionSpace& without_tlm, TaskSplit split) {
  const OutcomeTable& table = space.table();
  const torch::Tensor tasks = table.rows(split), validation = table.rows(TaskSplit::kValidation);
  if (tasks.numel() == 0 || validation.numel() == 0)
    fail_usage("a comparison needs validation and {} outcomes: set label.{}",
               kTaskSplits[static_cast<std::size_t>(split)], kTaskSplits[static_cast<std::size_t>(split)]);
  PolicyScores scores{slo_lattice(), {}, {}, table.family.index_select(0, tasks), table.families};
  for (const auto& policy : kPolicies) {
    for (auto* part : {&scores.right, &scores.met})
      (*part)[policy] = torch::zeros({tasks.numel(), static_cast<std::int64_t>(scores.slos.size())}, torch::kFloat64);
  }
  for (std::size_t s = 0; s < scores.slos.size(); ++s) {
    const SloRatios& slo = scores.slos[s];
    const SloView with = space.under(slo), without = without_tlm.under(slo);
    const torch::Tensor shares = family_accuracy(table, without.right, validation);
    const auto singles = single_decisions(table, validation, without_tlm.under(validation, slo), without);
    for (std::int64_t i = 0; i < tasks.numel(); ++i) {
      const std::int64_t task = tasks[i].item<std::int64_t>(), family = table.family[task].item<std::int64_t>();
      judge({scores, i, static_cast<std::int64_t>(s)},
            {with, without, task, shares[family], singles[static_cast<std::size_t>(family)], without.by_cost(task),
             proposals[s].model_level[i], proposals[s].prompt_level[i], rule});
    }
  }
  return scores;
}

json compare_decisions(const PolicyScores& scores) {
  const auto slos = static_cast<std::int64_t>(scores.slos.size());
  json lattice = json::array();
  for (std::int64_t s = 0; s < slos; ++s) {
    json row = means_of(scores, [&](const torch::Tensor& values) { return values.select(1, s); });
    row["ttft"] = scores.slos[static_cast<std::size_t>(s)][0];
    row["tpot"] = scores.slos[static_cast<std::size_t>(s)][1];
    lattice.push_back(std::move(row));
  }
  const json mean = means_of(scores, [](const torch::Tensor& values) { return values; });
  const auto accuracy = [&](const char* name) { return mean.at(name).at("accuracy").get<double>(); };
  json result = {{"tasks", scores.right.at("tlm").size(0)},
                 {"lattice", lattice},
                 {"mean", mean},
                 {"families", means_by_family(scores)}};
  const double gap = accuracy("oracle") - accuracy("single");
  result["falls"] = looser_falls(scores, "tlm");
  result["gap_closed"] = gap > 1e-9 ? json((accuracy("tlm") - accuracy("single")) / gap) : json();
  return result;
}

json looser_falls(const PolicyScores& scores, const std::string& policy) {
  const torch::Tensor& right = scores.right.at(policy);
  json falls = json::array();
  const auto is_next = [](const SloRatios& tight, const SloRatios& loose) {
    const double ttft = loose[0] - tight[0], tpot = loose[1] - tight[1];
    return (std::abs(ttft - 0.1) < 0.01 && std::abs(tpot) < 0.01) ||
           (std::abs(tpot - 0.1) < 0.01 && std::abs(ttft) < 0.01);
  };
  for (std::size_t a = 0; a < scores.slos.size(); ++a) {
    for (std::size_t b = 0; b < scores.slos.size(); ++b) {
      if (!is_next(scores.slos[a], scores.slos[b])) continue;
      const MeanError change =
          mean_error(right.select(1, static_cast<std::int64_t>(b)) - right.select(1, static_cast<std::int64_t>(a)));
      if (change.mean < -3 * change.error)
        falls.push_back(
            {{"from", scores.slos[a]}, {"to", scores.slos[b]}, {"change", change.mean}, {"error", change.error}});
    }
  }
  return falls;
}

std::string format_comparison(const json& comparison, const std::vector<SloRatios>& slos) {
  std::string text = fmt::format("{} tasks; right answers within the SLO, percent\n{:<12}",
                                 comparison.at("tasks").get<std::int64_t>(), "TTFT TPOT");
  for (const auto& name : kPolicies) text += fmt::format(" {:>11}", name);
  const auto row = [&](const std::string& head, const json& values) {
    text += fmt::format("\n{:<12}", head);
    for (const auto& name : kPolicies)
      text += fmt::format(" {:>11.1f}", 100 * values.at(name).at("accuracy").get<double>());
  };
  for (const auto& slo : slos) {
    for (const auto& values : comparison.at("lattice")) {
      const bool same = std::abs(values.at("ttft").get<double>() - slo[0]) < 1e-9 &&
                        std::abs(values.at("tpot").get<double>() - slo[1]) < 1e-9;
      if (same) row(fmt::format("{:.1f}  {:.1f}", slo[0], slo[1]), values);
    }
  }
  row("mean of all", comparison.at("mean"));
  if (comparison.contains("one_level")) row("one level", comparison.at("one_level").at("mean"));
  return text + "\n";
}

json compare_phases(const std::vector<Proposals>& proposals, const ChoiceRule& rule, const DecisionSpace& space,
                    const elrt::LatencyTable& latency, TaskSplit split, PolicyScores* scores) {
  const OutcomeTable& table = space.table();
  PolicyScores judged = judge_policies(proposals, rule, space, DecisionSpace(table, latency, false), split);
  json result = compare_decisions(judged);
  if (scores != nullptr) *scores = std::move(judged);
  if (!space.phases()) return result;
  const DecisionSpace with(table, latency, true, false), without(table, latency, false, false);
  json one_level = compare_decisions(judge_policies(proposals, rule, with, without, split));
  one_level.erase("tasks");
  result["one_level"] = std::move(one_level);
  return result;
}

HeatMap comparison_map(const json& comparison, const std::string& policy) {
  HeatMap map{"", "TTFT, share of the full model's", "TPOT, share of the full model's", {}, {}, {}, 0, 100};
  const auto tasks = comparison.at("tasks").get<std::size_t>();
  double widest = 0;
  const auto place = [](std::vector<double>& ticks, double value) {
    auto found = std::find(ticks.begin(), ticks.end(), value);
    if (found == ticks.end()) found = ticks.insert(ticks.end(), value);
    return static_cast<std::size_t>(found - ticks.begin());
  };
  for (const auto& values : comparison.at("lattice")) {
    const std::size_t x = place(map.x, values.at("ttft")), y = place(map.y, values.at("tpot"));
    map.values.resize(map.y.size());
    map.values[y].resize(std::max(map.values[y].size(), x + 1));
    map.values[y][x] = 100 * values.at(policy).at("accuracy").get<double>();
    const double right = values.at(policy).at("accuracy").get<double>() * static_cast<double>(tasks);
    const Interval interval = wilson_interval(static_cast<std::size_t>(std::llround(right)), tasks);
    widest = std::max(widest, 50 * (interval.high - interval.low));
  }
  map.title = fmt::format("Right answers within the objective, percent: {} ({} tasks, 95 % interval at most ± {:.1f})",
                          policy_name(policy), tasks, widest);
  return map;
}

}  // namespace elastify
