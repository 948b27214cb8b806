#include "label/decisions.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/runtime_result.h"

namespace elastify {
namespace {

elrt::Scheduler make_scheduler(const OutcomeTable& table, const elrt::LatencyTable& latency, bool tlm) {
  elrt::SchedulerOptions options;
  options.prompt_levels.assign(table.prompt_levels.begin(), table.prompt_levels.end());
  options.decision_head = tlm;
  return take(elrt::Scheduler::create(latency, options));
}

std::uint32_t narrow(std::int64_t value) { return static_cast<std::uint32_t>(value); }

}  // namespace

std::vector<SloRatios> slo_lattice() {
  std::vector<SloRatios> lattice;
  for (int ttft = 2; ttft <= 10; ++ttft) {
    for (int tpot = 5; tpot <= 10; ++tpot) lattice.push_back({ttft / 10.0, tpot / 10.0});
  }
  return lattice;
}

DecisionSpace::DecisionSpace(const OutcomeTable& table, const elrt::LatencyTable& latency, bool tlm)
    : table_(table), tlm_(tlm), scheduler_(make_scheduler(table, latency, tlm)) {
  for (const std::int64_t level : table.model_levels) {
    if (!std::isfinite(latency.ttft_ms(narrow(level), 1)))
      fail_usage("the latency table lacks level {}: calibrate the artifact that was labelled", level);
  }
}

elrt::Request DecisionSpace::request(std::int64_t task, const SloRatios& slo) const {
  elrt::Request request;
  const std::int64_t full = table_.prompt_tokens.size(1) - 1;
  request.prompt_tokens = narrow(table_.prompt_tokens.accessor<std::int64_t, 2>()[task][full]);
  request.output_tokens = narrow(table_.output_tokens.accessor<std::int64_t, 1>()[task]);
  request.slo = {elrt::Slo::Unit::kRatio, slo[0], slo[1]};
  return request;
}

elrt::Latency DecisionSpace::predict(const elrt::Request& request, std::int64_t task, std::int64_t model,
                                     std::int64_t prompt) const {
  const auto prompt_level = narrow(table_.prompt_levels[static_cast<std::size_t>(prompt)]),
             level = narrow(table_.model_levels[static_cast<std::size_t>(model)]);
  const auto kept = narrow(table_.prompt_tokens.accessor<std::int64_t, 2>()[task][prompt]);
  const elrt::Decision decision{level, prompt_level};
  const elrt::Latency nominal = scheduler_.predict(request, decision),
                      counted = scheduler_.predict(request, decision, kept);
  return {std::max(nominal.ttft_ms, counted.ttft_ms), std::max(nominal.tpot_ms, counted.tpot_ms)};
}

bool DecisionSpace::full_feasible(std::int64_t task, const SloRatios& slo) const {
  return take(scheduler_.full_decision(request(task, slo))).has_value();
}

torch::Tensor DecisionSpace::feasible(std::int64_t task, const SloRatios& slo) const {
  const std::int64_t m = table_.chosen.size(1), p = table_.chosen.size(2);
  const elrt::Request asked = request(task, slo);
  const elrt::Latency limits = scheduler_.limits(asked);
  const torch::Tensor result = torch::zeros({m, p}, torch::kBool);
  auto cells = result.accessor<bool, 2>();
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < p; ++j) {
      const elrt::Latency latency = predict(asked, task, i, j);
      cells[i][j] = latency.ttft_ms <= limits.ttft_ms && latency.tpot_ms <= limits.tpot_ms;
    }
  }
  if (tlm_ && full_feasible(task, slo)) cells[m - 1][p - 1] = true;
  return result;
}

torch::Tensor DecisionSpace::cost(std::int64_t task) const {
  const std::int64_t m = table_.chosen.size(1), p = table_.chosen.size(2);
  const elrt::Request asked = request(task, {1, 1});
  const torch::Tensor result = torch::zeros({m, p}, torch::kFloat64);
  auto cells = result.accessor<double, 2>();
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < p; ++j) {
      const elrt::Latency latency = predict(asked, task, i, j);
      cells[i][j] = latency.ttft_ms + (asked.output_tokens - 1) * latency.tpot_ms;
    }
  }
  return result;
}

std::vector<DecisionIndex> DecisionSpace::by_cost(std::int64_t task) const {
  const torch::Tensor costs = cost(task);
  const auto cells = costs.accessor<double, 2>();
  std::vector<DecisionIndex> all;
  for (std::int64_t i = 0; i < costs.size(0); ++i) {
    for (std::int64_t j = 0; j < costs.size(1); ++j) all.push_back({i, j});
  }
  // Built by model level, then prompt level: a stable sort keeps that order among equals.
  std::stable_sort(all.begin(), all.end(),
                   [&](const auto& a, const auto& b) { return cells[a.model][a.prompt] < cells[b.model][b.prompt]; });
  return all;
}

torch::Tensor family_accuracy(const OutcomeTable& table, const torch::Tensor& rows) {
  const torch::Tensor right = table.right().index_select(0, rows).to(torch::kFloat64);
  const torch::Tensor family = table.family.index_select(0, rows);
  const torch::Tensor all =
      rows.numel() > 0 ? right.mean(0) : torch::zeros({table.chosen.size(1), table.chosen.size(2)}, torch::kFloat64);
  std::vector<torch::Tensor> shares;
  for (std::size_t f = 0; f < table.families.size(); ++f) {
    const torch::Tensor mine = (family == static_cast<std::int64_t>(f)).nonzero().squeeze(1);
    shares.push_back(mine.numel() > 0 ? right.index_select(0, mine).mean(0) : all);
  }
  return torch::stack(shares);
}

std::optional<DecisionIndex> best_feasible(const torch::Tensor& feasible, const torch::Tensor& accuracy,
                                           const std::vector<DecisionIndex>& by_cost) {
  const auto allowed = feasible.accessor<bool, 2>();
  const auto value = accuracy.accessor<double, 2>();
  std::optional<DecisionIndex> best;
  for (const auto& index : by_cost) {
    if (allowed[index.model][index.prompt] &&
        (!best || value[index.model][index.prompt] > value[best->model][best->prompt]))
      best = index;
  }
  return best;
}

std::optional<DecisionLabel> decision_label(const DecisionSpace& space, std::int64_t task, const SloRatios& slo,
                                            const torch::Tensor& prior) {
  const OutcomeTable& table = space.table();
  const torch::Tensor feasible = space.feasible(task, slo);
  const auto order = space.by_cost(task);
  const auto allowed = feasible.accessor<bool, 2>();
  const auto chosen = table.chosen.accessor<std::int64_t, 3>()[task];
  const std::int64_t answer = table.answer.accessor<std::int64_t, 1>()[task];
  for (const auto& index : order) {
    if (allowed[index.model][index.prompt] && chosen[index.model][index.prompt] == answer)
      return DecisionLabel{index, true};
  }
  const auto fallback = best_feasible(feasible, prior[table.family.accessor<std::int64_t, 1>()[task]], order);
  if (!fallback) return std::nullopt;
  return DecisionLabel{*fallback, false};
}

elrt::LatencyTable synthetic_latency(const elrt::Artifact& artifact) {
  constexpr double kBytesPerMs = 1e7;
  elrt::LatencyData data;
  data.artifact = artifact.identity();
  data.device = "synthetic";
  data.threads = 1;
  data.repeats = 1;
  data.tokens = {1, std::max<std::uint32_t>(2, artifact.shape().context)};
  for (const auto& level : artifact.levels()) {
    elrt::LevelLatency latency{level.level, {}, {}};
    const double token_ms = static_cast<double>(level.bytes_per_token) / kBytesPerMs;
    for (const std::uint32_t n : data.tokens) {
      latency.ttft_ms.push_back(n * token_ms);
      latency.tpot_ms.push_back(token_ms);
    }
    data.levels.push_back(latency);
  }
  return with_tlm_latency(take(elrt::LatencyTable::create(std::move(data))));
}

elrt::LatencyTable with_tlm_latency(const elrt::LatencyTable& table) {
  constexpr double kDecisionShare = 0.05,
                   kScoreShare = 0.04;  // of the full model's TTFT: what the default size takes on two cores
  elrt::LatencyData data = table.data();
  if (!data.tlm.decision_ms.empty()) return table;
  for (const double ttft : data.levels.back().ttft_ms) {
    data.tlm.decision_ms.push_back(kDecisionShare * ttft);
    data.tlm.score_ms.push_back(kScoreShare * ttft);
  }
  return take(elrt::LatencyTable::create(std::move(data)));
}

}  // namespace elastify
