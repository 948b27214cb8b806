// A built run as decisions see it.
#pragma once

#include <memory>

#include "label/comparison.h"
#include "pipeline/pipeline_config.h"

namespace elastify {

// Movable but for its spaces, which refer to its table: held by pointer.
struct LoadedRun {
  OutcomeTable table;
  std::vector<TaskItem> tasks;  // in the order of the table
  ChoiceRule rule;
  elrt::LatencyTable latency;
  std::unique_ptr<DecisionSpace> with_tlm, without_tlm;  // decode levels as SLOs leave them
  std::vector<Proposals> proposals;                      // of propose_lattice() for the test tasks

  std::vector<std::int64_t> test_tasks() const;
};

// Of a run directory whose build is up to date. Throws Error(kBadData) where a file is missing or damaged.
std::unique_ptr<LoadedRun> load_run(const PipelineConfig& config, const fs::path& run_dir);

}  // namespace elastify
