#include "evaluate/trace_table.h"

#include <cmath>

namespace elastify {
namespace {

using nlohmann::json;

json number(double value) { return std::isfinite(value) ? json(value) : json(); }

json to_json(const TraceResult& result) {
  json apps = json::object();
  for (std::size_t app = 0; app < trace_apps().size(); ++app)
    apps[trace_apps()[app].name] = {{"right", number(result.right_by_app[app])},
                                    {"met", number(result.met_by_app[app])}};
  return {{"right", result.right}, {"met", result.met}, {"mean_wait_ms", result.mean_wait_ms}, {"apps", apps}};
}

// Of the full model, over the test tasks.
double mean_answer_ms(const LoadedRun& run) {
  const torch::Tensor tasks = run.table.rows(TaskSplit::kTest);
  const torch::Tensor times = run.with_tlm->full_times().index_select(0, tasks);
  const torch::Tensor further = run.table.output_tokens.index_select(0, tasks) - 1;
  return (times.select(1, 0) + further * times.select(1, 1)).mean().item<double>();
}

}  // namespace

json serve_traces(const LoadedRun& run, const MethodLevels& methods, const TraceSettings& settings) {
  const PolicyServer::Shared shared(run.proposals, run.rule, *run.with_tlm, *run.without_tlm, TaskSplit::kTest);
  const double gap_ms = mean_answer_ms(run) / settings.load;
  json result = json::array();
  for (const double alpha : kTraceSkews) {
    const auto trace = make_trace({settings.requests, alpha, gap_ms, settings.seed}, run.test_tasks());
    for (const bool queue : {false, true}) {
      json servers = json::object();
      for (const auto& policy : kPolicies) {
        PolicyServer server(shared, policy, settings.seed);
        servers[policy] = to_json(serve_trace(trace, server, queue));
      }
      for (const auto& [name, levels] : methods) {
        MethodServer server(*run.without_tlm, levels);
        servers["method " + name] = to_json(serve_trace(trace, server, queue));
      }
      result.push_back({{"alpha", alpha},
                        {"queue", queue},
                        {"requests", settings.requests},
                        {"load", settings.load},
                        {"servers", servers}});
    }
  }
  return result;
}

}  // namespace elastify
