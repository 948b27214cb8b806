// A trace served by one device under one policy, on the clock of its latency table.
//
// One request is answered at a time, in the order of arrival. Time spent waiting is time lost: a decision is chosen for
// what is left of the TTFT. A request whose objective nothing keeps any more is still answered, by the lightest
// decision, and counts as missed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "evaluate/trace.h"
#include "label/policies.h"

namespace elastify {

// What serving takes and gives; of a decision or of a baseline's level.
struct Service {
  bool met = false;
  double right = 0;  // 1 or 0; a share where it is only known by family
  double cost_ms = 0;
};

class Server {
 public:
  virtual ~Server() = default;
  // One request whose TTFT must be kept in so many milliseconds less.
  virtual Service serve(const TraceRequest& request, double waited_ms) = 0;
};

// Every request counts: `right` where it is met and right. Means over the requests, and over those of each app.
struct TraceResult {
  double right = 0, met = 0;
  double mean_wait_ms = 0;
  std::vector<double> right_by_app, met_by_app;  // NaN for an app without requests
};
// Where `queue` is false nobody waits.
TraceResult serve_trace(const std::vector<TraceRequest>& trace, Server& server, bool queue);

// One of kPolicies. Proposals are those of the app's own SLO, expectations the validation tasks' under it; what is
// feasible is what the wait leaves. "random" draws with `seed`. "full" answers with the full model whether met or not.
class PolicyServer : public Server {
 public:
  // Shared by the servers of all policies: over the same table, one with a TLM, one without.
  struct Shared {
    // `proposals` of propose_lattice().
    Shared(const std::vector<Proposals>& proposals, const ChoiceRule& rule, const DecisionSpace& space,
           const DecisionSpace& without_tlm, TaskSplit split);
    struct App {
      const Proposals& proposals;
      torch::Tensor family_shares;
      std::vector<DecisionIndex> singles;
    };
    const DecisionSpace &with, &without;
    const ChoiceRule& rule;
    std::vector<App> apps;
    std::map<std::int64_t, std::int64_t> row;  // of the proposals, by the table's task
  };
  PolicyServer(const Shared& shared, std::string policy, std::uint64_t seed);
  Service serve(const TraceRequest& request, double waited_ms) override;

 private:
  Service full_model(const TraceRequest& request, const SloView& view) const;
  const Shared& shared_;
  std::string policy_;
  std::mt19937_64 random_;
};

// Levels of another method, as the baselines' harness measured them.
struct MethodLevel {
  double ttft_share = 1, tpot_share = 1;   // of the full model's
  std::map<std::string, double> accuracy;  // by family
};
// The level that is right most often among those that keep what is left of the objective, by the family's own tasks.
class MethodServer : public Server {
 public:
  // A family without an accuracy counts with the mean of those that have one. Needs a level; `space` gives the times
  // of the full model.
  MethodServer(const DecisionSpace& space, std::vector<MethodLevel> levels);
  Service serve(const TraceRequest& request, double waited_ms) override;
  // Of one task under one SLO that nobody waited for.
  Service under(std::int64_t task, const SloRatios& slo, double waited_ms = 0) const;

 private:
  double accuracy(const MethodLevel& level, std::int64_t task) const;
  const DecisionSpace& space_;
  std::vector<MethodLevel> levels_;
};

}  // namespace elastify
