// A queue by hand, and policies on a trace against the comparison's own scores.
#include "evaluate/serve_trace.h"

#include "label/comparison.h"
#include "unit/label/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

// Takes `cost_ms` for everything; met where the wait is at most `patience_ms`.
class FixedServer : public Server {
 public:
  FixedServer(double cost_ms, double patience_ms) : cost_ms_(cost_ms), patience_ms_(patience_ms) {}
  Service serve(const TraceRequest&, double waited_ms) override {
    waits.push_back(waited_ms);
    return {waited_ms <= patience_ms_, 1, cost_ms_};
  }
  std::vector<double> waits;

 private:
  double cost_ms_, patience_ms_;
};

struct Outcomes {
  Outcomes()
      : table(random_outcomes(90, 3)),
        latency(random_latency(2)),
        with(table, latency, true),
        without(table, latency, false),
        model([] {
          DualHeadConfig heads;
          heads.model_levels = {20, 60, 100};
          heads.prompt_levels = {10, 40, 70, 100};
          heads.ttft_levels = heads.tpot_levels = {50, 100};
          return make_dual_head(random_tlm_body(tiny_tlm_config(2), 3), heads, 7);
        }()),
        rule{torch::rand({3, 4}, torch::kFloat64), 0.5},
        rows(90, TlmRow{{2, 0, 0, 7, 3}, {-1, -1, -1, 0, -1}}) {}
  OutcomeTable table;
  elrt::LatencyTable latency;
  DecisionSpace with, without;
  DualHead model;
  ChoiceRule rule;
  std::vector<TlmRow> rows;
};

// Every test task once for one app, far apart or all at once.
std::vector<TraceRequest> every_task(const OutcomeTable& table, std::size_t app) {
  std::vector<TraceRequest> trace;
  const torch::Tensor tasks = table.rows(TaskSplit::kTest);
  for (std::int64_t i = 0; i < tasks.numel(); ++i) trace.push_back({0, app, tasks[i].item<std::int64_t>()});
  return trace;
}

}  // namespace

TEST_CASE("requests wait for those before them", "[evaluate][unit]") {
  // Answers take 10: free at 10, 20, 30 and 45.
  const std::vector<TraceRequest> trace = {{0, 0, 0}, {4, 0, 0}, {8, 1, 0}, {35, 1, 0}};
  FixedServer server(10, 5);
  const TraceResult queued = serve_trace(trace, server, true);
  CHECK(server.waits == std::vector<double>{0, 6, 12, 0});
  CHECK(queued.mean_wait_ms == Approx(18.0 / 4));
  CHECK(queued.met == Approx(0.5));
  CHECK(queued.right == Approx(0.5));
  CHECK(queued.met_by_app[0] == Approx(0.5));
  CHECK(std::isnan(queued.met_by_app[2]));
  FixedServer alone(10, 5);
  CHECK(serve_trace(trace, alone, false).met == 1);
  CHECK(alone.waits == std::vector<double>{0, 0, 0, 0});
}

TEST_CASE("where nobody waits, every policy answers a trace as the comparison says", "[evaluate][unit]") {
  const Outcomes o;
  const auto proposals = propose_lattice(o.model, {o.with, o.rows}, TaskSplit::kTest);
  const PolicyScores scores = judge_policies(proposals, o.rule, o.with, o.without, TaskSplit::kTest);
  const PolicyServer::Shared shared(proposals, o.rule, o.with, o.without, TaskSplit::kTest);
  for (std::size_t app = 0; app < trace_apps().size(); ++app) {
    const auto column = static_cast<std::int64_t>(
        std::find(scores.slos.begin(), scores.slos.end(), trace_apps()[app].slo) - scores.slos.begin());
    for (const auto& policy : kPolicies) {
      if (policy == "random") continue;
      PolicyServer server(shared, policy, 1);
      const TraceResult result = serve_trace(every_task(o.table, app), server, false);
      INFO(policy << " for " << trace_apps()[app].name);
      CHECK(result.right == Approx(scores.right.at(policy).select(1, column).mean().item<double>()));
      CHECK(result.met == Approx(scores.met.at(policy).select(1, column).mean().item<double>()));
    }
    // A draw for each request: the mean of many is the mean over the feasible decisions (within four standard errors of
    // 200 x 30 draws).
    PolicyServer random(shared, "random", 5);
    double sum = 0;
    for (int i = 0; i < 200; ++i) sum += serve_trace(every_task(o.table, app), random, false).right / 200;
    CHECK(std::abs(sum - scores.right.at("random").select(1, column).mean().item<double>()) <
          4 * 0.5 / std::sqrt(6000));
  }
}

TEST_CASE("waiting takes from the TTFT, until nothing keeps it", "[evaluate][unit]") {
  const Outcomes o;
  const auto proposals = propose_lattice(o.model, {o.with, o.rows}, TaskSplit::kTest);
  const PolicyServer::Shared shared(proposals, o.rule, o.with, o.without, TaskSplit::kTest);
  for (const auto& request : every_task(o.table, 0)) {
    const double ttft = o.with.full_times()[request.task][0].item<double>();
    PolicyServer oracle(shared, "oracle", 1), full(shared, "full", 1);
    // The loosest app asks for the full TTFT: 0.4 of it lost leaves what an objective of 0.6 finds feasible.
    const SloView less = o.with.under(torch::tensor({request.task}), SloRatios{0.6, 1.0});
    const Service waited = oracle.serve(request, 0.4 * ttft);
    const auto best = best_feasible(less.feasible[0], less.right[0].to(torch::kFloat64), less.by_cost(0));
    CHECK(waited.met == best.has_value());
    if (best) CHECK(waited.cost_ms == Approx(less.cost[0][best->model][best->prompt].item<double>()));
    const Service late = oracle.serve(request, 2 * ttft);
    CHECK_FALSE(late.met);
    CHECK(late.cost_ms <= full.serve(request, 0).cost_ms);
    CHECK(full.serve(request, 0).met);
    CHECK_FALSE(full.serve(request, 0.01 * ttft).met);
    CHECK(full.serve(request, 0.01 * ttft).cost_ms == full.serve(request, 0).cost_ms);
  }
}
