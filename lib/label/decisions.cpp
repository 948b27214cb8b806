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

DecisionSpace::DecisionSpace(const OutcomeTable& table, const elrt::LatencyTable& latency, bool tlm, bool phases)
    : table_(table), tlm_(tlm), phases_(phases && table.phases()) {
  for (const std::int64_t level : table.model_levels) {
    if (!std::isfinite(latency.ttft_ms(narrow(level), 1)))
      fail_usage("the latency table lacks level {}: calibrate the artifact that was labelled", level);
  }
  const auto m = static_cast<std::int64_t>(table.model_levels.size()),
             p = static_cast<std::int64_t>(table.prompt_levels.size());
  ttft_ = torch::zeros({table.tasks(), m, p}, torch::kFloat64);
  tpot_ = torch::zeros({table.tasks(), m, p}, torch::kFloat64);
  full_ = torch::zeros({table.tasks(), 2}, torch::kFloat64);
  right_ = table.right();
  has_tpot_ = table.output_tokens > 1;
  const elrt::Scheduler scheduler = make_scheduler(table, latency, tlm);
  for (std::int64_t task = 0; task < table.tasks(); ++task) predict(scheduler, task);
  clock_ = full_;
}

void DecisionSpace::predict(const elrt::Scheduler& scheduler, std::int64_t task) {
  const auto tokens = table_.prompt_tokens.accessor<std::int64_t, 2>()[task];
  const std::int64_t levels = ttft_.size(1), prompts = ttft_.size(2);
  elrt::Request request;
  request.prompt_tokens = narrow(tokens[prompts - 1]);
  request.output_tokens = narrow(table_.output_tokens.accessor<std::int64_t, 1>()[task]);
  const elrt::Latency full = scheduler.full_latency(request);
  full_[task][0] = full.ttft_ms;
  full_[task][1] = full.tpot_ms;
  auto ttft = ttft_.accessor<double, 3>()[task], tpot = tpot_.accessor<double, 3>()[task];
  for (std::int64_t i = 0; i < levels; ++i) {
    for (std::int64_t j = 0; j < prompts; ++j) {
      const elrt::Decision decision{narrow(table_.model_levels[static_cast<std::size_t>(i)]),
                                    narrow(table_.prompt_levels[static_cast<std::size_t>(j)])};
      const elrt::Latency nominal = scheduler.predict(request, decision),
                          counted = scheduler.predict(request, decision, narrow(tokens[j]));
      ttft[i][j] = std::max(nominal.ttft_ms, counted.ttft_ms);
      tpot[i][j] = std::max(nominal.tpot_ms, counted.tpot_ms);
    }
  }
}

// keeps: [rows, D, P], whether a level keeps the TPOT. For every model level the largest level up to it that does.
torch::Tensor DecisionSpace::decode_levels(const torch::Tensor& keeps) const {
  std::vector<torch::Tensor> found;  // by model level: [rows, P]
  for (std::int64_t m = 0; m < keeps.size(1); ++m) {
    const torch::Tensor own = torch::full_like(keeps.select(1, m), m, torch::kInt64);
    found.push_back(!phases_ || m == 0 ? own : torch::where(keeps.select(1, m), own, found.back()));
  }
  return torch::stack(found, 1);
}

SloView DecisionSpace::under(const torch::Tensor& tasks, const torch::Tensor& ratios) const {
  const torch::Tensor limits = ratios * clock_.index_select(0, tasks);  // [rows, 2]
  const torch::Tensor ttft = ttft_.index_select(0, tasks), tpot = tpot_.index_select(0, tasks);
  const torch::Tensor in_time = ttft <= limits.select(1, 0).view({-1, 1, 1});
  const torch::Tensor keeps =
      (tpot <= limits.select(1, 1).view({-1, 1, 1})) | has_tpot_.index_select(0, tasks).logical_not().view({-1, 1, 1});
  SloView view;
  view.decode = decode_levels(keeps);
  const torch::Tensor decodes_in_time = keeps.gather(1, view.decode);
  view.feasible = in_time & decodes_in_time;
  view.full =
      (full_.select(1, 0).index_select(0, tasks) <= limits.select(1, 0)) & decodes_in_time.select(1, -1).select(1, -1);
  if (tlm_) view.feasible.select(1, -1).select(1, -1).logical_or_(view.full);
  const torch::Tensor further = (table_.output_tokens.index_select(0, tasks) - 1).view({-1, 1, 1});
  view.cost = ttft + further * tpot.gather(1, view.decode);
  view.right = view.reduce(right_.index_select(0, tasks));
  return view;
}

SloView DecisionSpace::under(const torch::Tensor& tasks, const SloRatios& slo) const {
  return under(tasks, torch::tensor({slo[0], slo[1]}, torch::kFloat64).expand({tasks.numel(), 2}));
}

SloView DecisionSpace::under(const SloRatios& slo) const { return under(torch::arange(table_.tasks()), slo); }

torch::Tensor DecisionSpace::largest_cost() const {
  return (ttft_ + (table_.output_tokens - 1).view({-1, 1, 1}) * tpot_).flatten(1).amax(1);
}

torch::Tensor SloView::reduce(const torch::Tensor& by_decode) const {
  return by_decode.gather(2, decode.unsqueeze(2)).squeeze(2);
}

std::vector<DecisionIndex> SloView::by_cost(std::int64_t row) const {
  const torch::Tensor costs = cost[row];
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

torch::Tensor family_accuracy(const OutcomeTable& table, const torch::Tensor& right, const torch::Tensor& rows) {
  const torch::Tensor seen = right.index_select(0, rows).to(torch::kFloat64);
  const torch::Tensor family = table.family.index_select(0, rows);
  const torch::Tensor all =
      rows.numel() > 0 ? seen.mean(0) : torch::zeros({right.size(1), right.size(2)}, torch::kFloat64);
  std::vector<torch::Tensor> shares;
  for (std::size_t f = 0; f < table.families.size(); ++f) {
    const torch::Tensor mine = (family == static_cast<std::int64_t>(f)).nonzero().squeeze(1);
    shares.push_back(mine.numel() > 0 ? seen.index_select(0, mine).mean(0) : all);
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

std::optional<DecisionLabel> decision_label(const SloView& view, std::int64_t row, const torch::Tensor& prior) {
  const auto order = view.by_cost(row);
  const torch::Tensor feasible = view.feasible[row], right = view.right[row];
  const auto allowed = feasible.accessor<bool, 2>(), is_right = right.accessor<bool, 2>();
  for (const auto& index : order) {
    if (allowed[index.model][index.prompt] && is_right[index.model][index.prompt]) return DecisionLabel{index, true};
  }
  const auto fallback = best_feasible(feasible, prior, order);
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
