// Stages over a run directory: `elastify build` runs all that the settings want, each subcommand one of them.
#pragma once

#include <string>
#include <vector>

#include "pipeline/pipeline_config.h"
#include "pipeline/run_directory.h"
#include "pipeline/stage.h"

namespace elastify {

class BuildProgress;

class Pipeline {
 public:
  // Checks the settings for what will run: `stage`, or where it is empty a whole build. Then locks the run directory.
  // Throws Error(kUsage) with all problems at once, Error(kBadData) where the checkpoint is damaged.
  Pipeline(PipelineConfig config, const fs::path& run_dir, const std::string& stage = "");

  // Runs the stage unless it is up to date: its key (tool version, resolved settings, content of its inputs) is that of
  // its last run and its outputs are untouched. A stage that was stopped goes on where it was. Returns the stage's
  // summary, with "stage", "up_to_date", "stage_seconds", "memory" {stated_bytes, used_bytes} and, where the machine
  // tells, "energy_joules". Throws Interrupted after Ctrl-C or SIGTERM, progress saved.
  json run();
  // All stages: {"stages": [...], "artifact": PATH}. config.resolved.json is written once all of them are up to date,
  // and removed before model.gguf is replaced, so that it never describes an artifact that it did not make.
  json build();

 private:
  json run(const Stage& stage, BuildProgress& progress);
  json run_now(const Stage& stage, const std::string& key);
  void write_resolved() const;
  bool all_up_to_date();

  PipelineConfig config_;
  std::vector<const Stage*> stages_;
  RunDirectory run_;
};

}  // namespace elastify
