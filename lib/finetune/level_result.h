// What recovery did to one level: adapters/level_NN/result.json.
#pragma once

#include <optional>
#include <string>

#include "base/files.h"

namespace elastify {

struct LevelResult {
  std::int64_t level = 0;
  double block_ratio = 1, total_ratio = 1;  // of the weights, from the plan
  double loss_full = 0;                     // next-token loss on held-out text, nats per token: the full level
  double loss_before = 0;                   // this level without an adapter
  double loss_after = 0;                    // with the best adapter, rounded to F16 as it ships
  double gain_error = 0;                    // standard error of before - after, rows being what was sampled
  std::int64_t held_out_tokens = 0;         // predictions that those losses are means of
  double adapter_scale = 0;  // of its product: alpha / rank or the share of it that is best at this level
  bool shared = false;       // its adapter is its part of that in adapters/shared
  bool kept = false;         // the adapter improves the level and was written
  std::int64_t steps_planned = 0, steps_run = 0, best_step = 0, skipped_steps = 0;
  double learning_rate = 0;
  std::int64_t adapter_weights = 0;
  std::int64_t tokens = 0;          // that were trained on, of all levels that share the adapter
  double seconds = 0;               // training and the evaluations in it, of all those levels
  double evaluation_seconds = 0;    // of those seconds
  double step_seconds = 0;          // median of a step
  std::int64_t peak_rss_bytes = 0;  // of the stage, so far
};

nlohmann::json to_json(const LevelResult& result);
// The result in `directory`, if there is one with this key.
std::optional<LevelResult> load_level_result(const fs::path& directory, const std::string& key);
void save_level_result(const fs::path& directory, const LevelResult& result, const std::string& key);

// adapters/level_NN
fs::path level_directory(const fs::path& adapters, std::int64_t level);

}  // namespace elastify
