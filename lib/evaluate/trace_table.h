// Traces under every policy and every other method.
#pragma once

#include <nlohmann/json.hpp>

#include "evaluate/methods.h"

namespace elastify {

struct TraceSettings {
  std::int64_t requests = 600;
  double load = 0.5;  // of the full model, answering everything: mean time of an answer over the mean gap
  std::uint64_t seed = 1;
};

// The skews of the published evaluation.
inline const std::vector<double> kTraceSkews{0, 0.25, -0.25};

// [{alpha, queue, requests, load, servers: {NAME: {right, met, mean_wait_ms, apps: {APP: {right, met}}}}}]: each skew
// once without anybody waiting and once as a queue. Names are policies' and, with "method ", the methods'.
nlohmann::json serve_traces(const LoadedRun& run, const MethodLevels& methods, const TraceSettings& settings);

}  // namespace elastify
