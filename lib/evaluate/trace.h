// Requests of several apps at once, as the published evaluation draws them.
//
// Six apps, each with one SLO; app i of 1..6, from the loosest to the strictest, sends a share of softmax(alpha i) of
// the requests: alpha above 0 is a day of strict requests, below 0 of patient ones. Arrivals are a Poisson process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "label/decisions.h"

namespace elastify {

struct TraceApp {
  const char* name;
  SloRatios slo;
};
const std::vector<TraceApp>& trace_apps();  // from the loosest to the strictest
// Of each app, by its place; they sum to 1.
std::vector<double> app_shares(double alpha);

struct TraceConfig {
  std::int64_t requests = 600;
  double alpha = 0;
  double gap_ms = 0;  // mean time between arrivals; 0: each request comes when no other is there
  std::uint64_t seed = 1;
};

struct TraceRequest {
  double arrival_ms = 0;
  std::size_t app = 0;    // of trace_apps()
  std::int64_t task = 0;  // of the tasks that were given
};

// Each app has the count of requests that its share is nearest to, in random order; tasks are drawn evenly, each as
// often as any other but for one. Equal settings give equal traces. Needs tasks, requests of at least 1.
std::vector<TraceRequest> make_trace(const TraceConfig& config, const std::vector<std::int64_t>& tasks);

}  // namespace elastify
