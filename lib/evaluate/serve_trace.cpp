#include "evaluate/serve_trace.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace elastify {
namespace {

// Nobody is late by less than rounding.
constexpr double kRounding = 1e-9;

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(values.size());
}

}  // namespace

TraceResult serve_trace(const std::vector<TraceRequest>& trace, Server& server, bool queue) {
  std::vector<double> right, met, waits;
  std::vector<std::vector<double>> right_of(trace_apps().size()), met_of(trace_apps().size());
  double free_ms = 0;
  for (const TraceRequest& request : trace) {
    const double start = queue ? std::max(request.arrival_ms, free_ms) : request.arrival_ms;
    const Service service = server.serve(request, start - request.arrival_ms);
    free_ms = start + service.cost_ms;
    waits.push_back(start - request.arrival_ms);
    met.push_back(service.met ? 1 : 0);
    right.push_back(service.met ? service.right : 0);
    met_of[request.app].push_back(met.back());
    right_of[request.app].push_back(right.back());
  }
  TraceResult result{mean(right), mean(met), mean(waits), {}, {}};
  for (std::size_t app = 0; app < right_of.size(); ++app) {
    result.right_by_app.push_back(mean(right_of[app]));
    result.met_by_app.push_back(mean(met_of[app]));
  }
  return result;
}

PolicyServer::Shared::Shared(const std::vector<Proposals>& proposals, const ChoiceRule& rule_,
                             const DecisionSpace& space, const DecisionSpace& without_tlm, TaskSplit split)
    : with(space), without(without_tlm), rule(rule_) {
  const std::vector<SloRatios> lattice = slo_lattice();
  const OutcomeTable& table = with.table();
  const torch::Tensor tasks = table.rows(split), validation = table.rows(TaskSplit::kValidation);
  for (std::int64_t i = 0; i < tasks.numel(); ++i) row[tasks[i].item<std::int64_t>()] = i;
  for (const TraceApp& app : trace_apps()) {
    const SloView all = without.under(app.slo);
    const auto place = std::find(lattice.begin(), lattice.end(), app.slo);
    require(place != lattice.end(), "the lattice lacks the objective of {}", app.name);
    apps.push_back({proposals.at(static_cast<std::size_t>(place - lattice.begin())),
                    family_accuracy(table, all.right, validation),
                    single_decisions(table, validation, without.under(validation, app.slo), all)});
  }
}

PolicyServer::PolicyServer(const Shared& shared, std::string policy, std::uint64_t seed)
    : shared_(shared), policy_(std::move(policy)), random_(seed) {}

Service PolicyServer::full_model(const TraceRequest& request, const SloView& view) const {
  const OutcomeTable& table = shared_.with.table();
  const std::int64_t m = view.right.size(1) - 1, p = view.right.size(2) - 1;
  const auto times = shared_.with.full_times()[request.task];
  const auto further = static_cast<double>(table.output_tokens[request.task].item<std::int64_t>() - 1);
  const bool decodes = view.decode[0][m][p].item<std::int64_t>() == m;
  return {decodes && view.feasible[0][m][p].item<bool>(),
          table.chosen[request.task][m][m][p].item<std::int64_t>() == table.answer[request.task].item<std::int64_t>()
              ? 1.0
              : 0.0,
          times[0].item<double>() + further * times[1].item<double>()};
}

Service PolicyServer::serve(const TraceRequest& request, double waited_ms) {
  const OutcomeTable& table = shared_.with.table();
  const Shared::App& app = shared_.apps[request.app];
  SloRatios slo = trace_apps()[request.app].slo;
  slo[0] -= waited_ms / shared_.with.full_times()[request.task][0].item<double>() - (waited_ms > 0 ? kRounding : 0);
  const torch::Tensor task = torch::tensor({request.task});
  const SloView with = shared_.with.under(task, slo), without = shared_.without.under(task, slo);
  if (policy_ == "full") return full_model(request, without);
  const auto family = table.family[request.task].item<std::int64_t>();
  const std::int64_t row = shared_.row.at(request.task);
  const PolicyCase one{with,
                       without,
                       0,
                       app.family_shares[family],
                       app.singles[static_cast<std::size_t>(family)],
                       without.by_cost(0),
                       app.proposals.model_level[row],
                       app.proposals.prompt_level[row],
                       shared_.rule};
  Choice choice;
  if (policy_ == "random") {
    const torch::Tensor feasible = without.feasible[0].nonzero();
    if (feasible.size(0) > 0) {
      const auto drawn = static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(feasible.size(0)));
      choice = DecisionIndex{feasible[drawn][0].item<std::int64_t>(), feasible[drawn][1].item<std::int64_t>()};
    }
  } else {
    choice = choose(policy_, one);
  }
  const bool asks = policy_ == "oracle" || policy_ == "tlm" || policy_ == "head";
  const SloView& view = asks && !with.full[0].item<bool>() ? with : without;
  const DecisionIndex taken = choice ? *choice : view.by_cost(0).front();
  return {choice.has_value(), view.right[0][taken.model][taken.prompt].item<bool>() ? 1.0 : 0.0,
          view.cost[0][taken.model][taken.prompt].item<double>()};
}

MethodServer::MethodServer(const DecisionSpace& space, std::vector<MethodLevel> levels)
    : space_(space), levels_(std::move(levels)) {
  require(!levels_.empty(), "a method needs a level");
}

double MethodServer::accuracy(const MethodLevel& level, std::int64_t task) const {
  const OutcomeTable& table = space_.table();
  const auto family = static_cast<std::size_t>(table.family[task].item<std::int64_t>());
  const auto found = level.accuracy.find(table.families[family]);
  if (found != level.accuracy.end()) return found->second;
  double sum = 0;
  for (const auto& [name, share] : level.accuracy) sum += share;
  return level.accuracy.empty() ? 0 : sum / static_cast<double>(level.accuracy.size());
}

Service MethodServer::under(std::int64_t task, const SloRatios& slo, double waited_ms) const {
  const auto times = space_.full_times()[task];
  const double ttft = times[0].item<double>(), tpot = times[1].item<double>();
  const auto further = static_cast<double>(space_.table().output_tokens[task].item<std::int64_t>() - 1);
  const auto service = [&](const MethodLevel& level, bool met) {
    return Service{met, accuracy(level, task), level.ttft_share * ttft + further * level.tpot_share * tpot};
  };
  std::optional<Service> best, lightest;
  for (const MethodLevel& level : levels_) {
    const bool met = level.ttft_share <= slo[0] - waited_ms / ttft + kRounding &&
                     (further == 0 || level.tpot_share <= slo[1] + kRounding);
    const Service one = service(level, met);
    if (met && (!best || one.right > best->right)) best = one;
    if (!lightest || one.cost_ms < lightest->cost_ms) lightest = one;
  }
  return best ? *best : *lightest;
}

Service MethodServer::serve(const TraceRequest& request, double waited_ms) {
  return under(request.task, trace_apps()[request.app].slo, waited_ms);
}

}  // namespace elastify
