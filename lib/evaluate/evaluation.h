// The published system's evaluation on a run of one's own: one command, one document, one page.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "evaluate/trace_table.h"

namespace elastify {

struct EvaluationRequest {
  fs::path config;                     // pipeline settings, a JSON file
  std::vector<std::string> overrides;  // KEY=VALUE
  fs::path run_dir;
  TraceSettings traces;
  std::vector<std::string> methods;    // of the baselines' harness, to be run where they have not; "all"; empty: those
                                       // that have been, on these tasks
  std::vector<std::int64_t> levels;    // of the methods; empty: all below 100
  std::int64_t tokens = 0;             // of training, for each method and level; 0: as finetune.* says
  std::vector<std::string> ablations;  // of variant_table(), each a build of its own; "all"; empty: none but the quick
};

// Runs every stage that is not up to date, the comparison too, then what is asked for. Leaves evaluation.json, its
// charts and evaluation.html in the run directory and returns the document: {objectives: comparison.json's decisions,
// yardstick, methods: compare_methods(), traces: serve_traces(), ablations: [{name, about, tlm, loss}], costs:
// stage_costs(), carrying: carrying_costs(), goals: {mean_gain, cells_ahead}}. Stopped, it goes on where it was.
// Throws Error(kUsage) for settings without tasks.
nlohmann::json run_evaluation(const EvaluationRequest& request);

}  // namespace elastify
