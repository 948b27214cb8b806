// Stages over a run directory: `elastify build` runs them all, each subcommand one of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipeline/pipeline_config.h"
#include "pipeline/run_directory.h"

namespace elastify {

// In the order of a build: sample, profile, anchors, reorder, finetune; pack-base, train-score, label, train-tlm and
// compare where there are labelled tasks; pack.
const std::vector<std::string>& stage_names();

class Pipeline {
 public:
  // Locks the run directory and writes config.resolved.json into it. Throws Error(kUsage) on a device that is not
  // there.
  Pipeline(PipelineConfig config, const fs::path& run_dir);

  // Runs one stage unless it is up to date: its key (tool version, resolved settings, content of its inputs) is that of
  // its last run and its outputs are untouched. A stage that was killed goes on where it was. Returns the stage's
  // summary, with "stage", "up_to_date" and "seconds".
  json run(const std::string& stage);
  // All stages, then the report: {"stages": [...], "artifact": PATH, "levels": [...]}.
  json build();

 private:
  std::string key_of(const std::string& stage);
  void add_tlm_inputs(const std::string& stage, const json& resolved, json& key);
  std::vector<std::string> outputs_of(const std::string& stage) const;

  PipelineConfig config_;
  RunDirectory run_;
};

}  // namespace elastify
