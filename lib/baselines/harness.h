// Every method from the same checkpoint, data, token budget and recovery: the results, and what they say together.
#pragma once

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <vector>

#include "pipeline/pipeline_config.h"

namespace elastify {

struct BaselinesRequest {
  std::vector<std::string> methods;               // of method_table(); empty: all
  std::vector<std::int64_t> levels;               // of the plan; empty: all below 100
  std::vector<std::string> texts;                 // NAME=FILE, held out; empty: the settings' own held-out text
  std::int64_t text_tokens = 16384;               // of each text, at most
  std::int64_t tokens = 0;                        // of training, for each method and level; 0: as finetune.* says
  std::vector<std::string> tasks;                 // files
  std::int64_t limit = 100;                       // items of each family; 0: all
  std::int64_t prompt_tokens = 256, repeats = 5;  // of the latency measured
  double scratch_rate = 0;                        // learning rate of models trained from nothing; 0: by their width
  bool before_only = false;                       // no recovery and no tasks
  // Called after each piece of work; an exception ends the run there, as a kill would.
  std::function<void(const std::string& piece)> after_piece;
};

// Runs the stages that `ours` needs (sample, profile, anchors, reorder) unless they are up to date, then every method
// at every level: loss before recovery and latency of all of them first, then recovery, loss after it and tasks. Each
// piece is a file under DIR/baselines/METHOD/level_NN, named by a key of everything that it depends on: a run that was
// stopped goes on, and a repeated one reads them. Leaves baselines.json and baselines.svg there after every piece:
// {full: {losses, tokens_per_s, [tasks]}, results: [{method, level, block_ratio, total_ratio, notes, loss_before,
// loss_after: {TEXT: loss}, latency, data, training_tokens, seconds, [tasks], [infeasible]}], comparison}.
// Throws Error(kBadData) where two results were not made from equal data.
nlohmann::json run_baselines(const PipelineConfig& config, const fs::path& run_dir, const BaselinesRequest& request);

// The rank correlation of cheap scores with exact ablation (correlation.h), kept in DIR/baselines/correlation.json.
nlohmann::json run_correlation(const PipelineConfig& config, const fs::path& run_dir);

}  // namespace elastify
