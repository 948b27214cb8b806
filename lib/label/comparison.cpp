#include "label/comparison.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/interval.h"

namespace elastify {
namespace {

using nlohmann::json;
using Choice = std::optional<DecisionIndex>;

torch::Tensor only(const torch::Tensor& feasible, std::int64_t dim, std::int64_t index) {
  const torch::Tensor mask = torch::zeros_like(feasible);
  mask.select(dim, index).fill_(true);
  return feasible & mask;
}

// For every family the decision that is right and feasible most often among its validation tasks; `view` is theirs.
std::vector<DecisionIndex> single_decisions(const OutcomeTable& table, const torch::Tensor& validation,
                                            const SloView& view, const SloView& all) {
  std::vector<torch::Tensor> sums(table.families.size(),
                                  torch::zeros({view.right.size(1), view.right.size(2)}, torch::kFloat64));
  std::vector<std::vector<DecisionIndex>> order(table.families.size());
  for (std::int64_t i = 0; i < validation.numel(); ++i) {
    const auto family = static_cast<std::size_t>(table.family[validation[i].item<std::int64_t>()].item<std::int64_t>());
    sums[family] = sums[family] + (view.right[i] & view.feasible[i]).to(torch::kFloat64);
    if (order[family].empty()) order[family] = view.by_cost(i);
  }
  std::vector<DecisionIndex> chosen;
  for (std::size_t f = 0; f < sums.size(); ++f) {
    if (order[f].empty()) order[f] = all.by_cost(0);
    chosen.push_back(*best_feasible(torch::ones_like(sums[f], torch::kBool), sums[f], order[f]));
  }
  return chosen;
}

// All tasks of the table under one SLO, with a decision-head to be asked and without.
struct Views {
  SloView with, without;
};

// One task under one SLO: where the policies' results go.
struct Cell {
  PolicyScores& scores;
  std::int64_t task, slo;  // rows and columns of the scores

  void add(const char* policy, double right, double met) {
    scores.right.at(policy)[task][slo] = right;
    scores.met.at(policy)[task][slo] = met;
  }
};

// What a head says of one task.
struct Logits {
  torch::Tensor model_level, prompt_level;
};

void judge(Cell cell, const OutcomeTable& table, const Views& views, const torch::Tensor& family_shares,
           std::int64_t task, const DecisionIndex& single, const Logits& logits, const ChoiceRule& rule) {
  const torch::Tensor right = views.without.right[task];
  const torch::Tensor with = views.with.feasible[task], without = views.without.feasible[task];
  const auto is_right = right.accessor<bool, 2>();
  const auto allowed = without.accessor<bool, 2>();
  const torch::Tensor prior = family_shares[table.family[task].item<std::int64_t>()];
  const auto order = views.without.by_cost(task);
  const std::int64_t m = right.size(0) - 1, p = right.size(1) - 1;
  const auto add = [&](const char* policy, const Choice& choice) {
    cell.add(policy, choice && is_right[choice->model][choice->prompt] ? 1 : 0, choice ? 1 : 0);
  };

  const Choice unasked = views.with.full[task].item<bool>() ? Choice(DecisionIndex{m, p}) : std::nullopt;
  cell.add("oracle", (right & with).any().item<bool>() ? 1 : 0, with.any().item<bool>() ? 1 : 0);
  add("tlm", unasked ? unasked : choose(rule, logits.model_level, logits.prompt_level, with));
  add("head", unasked ? unasked : top_feasible(logits.model_level, logits.prompt_level, with));
  add("single", allowed[single.model][single.prompt] ? Choice(single) : best_feasible(without, prior, order));
  add("model_only", best_feasible(only(without, 1, p), prior, order));
  add("prompt_only", best_feasible(only(without, 0, m), prior, order));
  const bool all_full = allowed[m][p] && views.without.decode[task][m][p].item<std::int64_t>() == m;
  add("full", all_full ? Choice(DecisionIndex{m, p}) : std::nullopt);
  const double count = without.sum().item<double>();
  cell.add("random", count > 0 ? (right & without).sum().item<double>() / count : 0, count > 0 ? 1 : 0);
}

// {POLICY: {accuracy, met}} of some columns.
json means_of(const PolicyScores& scores, std::int64_t first, std::int64_t count) {
  json result = json::object();
  for (const auto& policy : kPolicies) {
    const auto mean = [&](const torch::Tensor& values) { return values.narrow(1, first, count).mean().item<double>(); };
    result[policy] = {{"accuracy", mean(scores.right.at(policy))}, {"met", mean(scores.met.at(policy))}};
  }
  return result;
}

}  // namespace

PolicyScores judge_policies(const DualHead& model, const ChoiceRule& rule, const DecisionData& data,
                            const DecisionSpace& without_tlm, TaskSplit split) {
  const OutcomeTable& table = data.space.table();
  const torch::Tensor tasks = table.rows(split), validation = table.rows(TaskSplit::kValidation);
  if (tasks.numel() == 0 || validation.numel() == 0)
    fail_usage("a comparison needs validation and {} outcomes: set label.{}",
               kTaskSplits[static_cast<std::size_t>(split)], kTaskSplits[static_cast<std::size_t>(split)]);
  PolicyScores scores{slo_lattice(), {}, {}};
  for (const auto& policy : kPolicies) {
    for (auto* part : {&scores.right, &scores.met})
      (*part)[policy] = torch::zeros({tasks.numel(), static_cast<std::int64_t>(scores.slos.size())}, torch::kFloat64);
  }
  for (std::size_t s = 0; s < scores.slos.size(); ++s) {
    const SloRatios& slo = scores.slos[s];
    const Proposals proposals = propose(model, data.rows, tasks, slo);
    const Views views{data.space.under(slo), without_tlm.under(slo)};
    const torch::Tensor shares = family_accuracy(table, views.without.right, validation);
    const auto singles = single_decisions(table, validation, without_tlm.under(validation, slo), views.without);
    for (std::int64_t i = 0; i < tasks.numel(); ++i) {
      const std::int64_t task = tasks[i].item<std::int64_t>();
      const DecisionIndex& single = singles[static_cast<std::size_t>(table.family[task].item<std::int64_t>())];
      judge({scores, i, static_cast<std::int64_t>(s)}, table, views, shares, task, single,
            {proposals.model_level[i], proposals.prompt_level[i]}, rule);
    }
  }
  return scores;
}

json compare_decisions(const PolicyScores& scores) {
  const auto slos = static_cast<std::int64_t>(scores.slos.size());
  json lattice = json::array();
  for (std::int64_t s = 0; s < slos; ++s) {
    json row = means_of(scores, s, 1);
    row["ttft"] = scores.slos[static_cast<std::size_t>(s)][0];
    row["tpot"] = scores.slos[static_cast<std::size_t>(s)][1];
    lattice.push_back(std::move(row));
  }
  const json mean = means_of(scores, 0, slos);
  const auto accuracy = [&](const char* name) { return mean.at(name).at("accuracy").get<double>(); };
  json result = {{"tasks", scores.right.at("tlm").size(0)}, {"lattice", lattice}, {"mean", mean}};
  const double gap = accuracy("oracle") - accuracy("single");
  result["gap_closed"] = gap > 1e-9 ? json((accuracy("tlm") - accuracy("single")) / gap) : json();
  return result;
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

json compare_phases(const DualHead& model, const ChoiceRule& rule, const DecisionData& data,
                    const elrt::LatencyTable& latency, TaskSplit split, PolicyScores* scores) {
  const OutcomeTable& table = data.space.table();
  PolicyScores judged = judge_policies(model, rule, data, DecisionSpace(table, latency, false), split);
  json result = compare_decisions(judged);
  if (scores != nullptr) *scores = std::move(judged);
  if (!data.space.phases()) return result;
  const DecisionSpace with(table, latency, true, false), without(table, latency, false, false);
  json one_level = compare_decisions(judge_policies(model, rule, {with, data.rows}, without, split));
  one_level.erase("tasks");
  result["one_level"] = std::move(one_level);
  return result;
}

std::string policy_name(const std::string& policy) {
  static const std::map<std::string, std::string> names = {{"oracle", "hindsight"},
                                                           {"tlm", "as served"},
                                                           {"head", "decision-head alone"},
                                                           {"single", "best single decision by family"},
                                                           {"model_only", "levels alone"},
                                                           {"prompt_only", "prompt levels alone"},
                                                           {"random", "random feasible decision"},
                                                           {"full", "full model"}};
  const auto found = names.find(policy);
  return found == names.end() ? policy : found->second;
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
