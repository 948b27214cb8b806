// Everything a level's training needs to go on after a kill, in one file that is whole or absent.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "finetune/stepper.h"

namespace elastify {

struct LevelState {
  std::int64_t step = 0;       // steps done
  std::int64_t bad_steps = 0;  // skipped in a row
  std::int64_t stale = 0;      // evaluations in a row that did not improve
  std::int64_t best_step = 0;
  double best_loss = std::numeric_limits<double>::infinity();  // held out
  torch::Tensor best;                                          // [weights], undefined before the first improvement
  double line_loss = 0;                                        // summed since the last line of metrics.jsonl
  std::int64_t line_steps = 0, line_tokens = 0;
  double line_seconds = 0;
  std::uint64_t metrics_bytes = 0;
  double seconds = 0;                // training and evaluation so far
  double evaluation_seconds = 0;     // of them
  std::vector<double> step_seconds;  // of every step
};

// level NN's checkpoint.safetensors. `key` names the inputs and settings.
void save_level_state(const fs::path& path, const LevelState& state, const std::string& key, Stepper& stepper);

// Restores `stepper` as well. Nothing if there is no file, or if it belongs to another key (said in the log).
// Throws Error(kBadData) on a file that does not fit.
std::optional<LevelState> load_level_state(const fs::path& path, const std::string& key, Stepper& stepper);

}  // namespace elastify
