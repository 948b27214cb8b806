// Everything training needs to go on after a kill, in one file that is whole or absent.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "pretrain/flat_model.h"
#include "pretrain/flat_optimizer.h"

namespace elastify {

struct TrainState {
  std::int64_t step = 0;            // done
  std::int64_t first_document = 0;  // of the pool of documents that is being read
  std::int64_t next_batch = 0;      // of that pool
  std::int64_t pool_answers = 0,
               pool_right = 0;  // of tasks in that pool so far: answers, those with every token of the value right
  double level = 0;             // of the curriculum that the pool was made at, see corpus.h
  std::int64_t tokens = 0;      // read
  std::int64_t bad_steps = 0;   // skipped in a row
  std::uint64_t metrics_bytes = 0;
  double seconds = 0;
};

using Optimizers = std::array<std::unique_ptr<FlatOptimizer>, 3>;  // by FlatBuffer

void save_train_state(const fs::path& path, const TrainState& state, const std::string& key, const FlatModel& model,
                      const Optimizers& optimizers);

// Restores model and optimizers as well. Nothing if there is no file, or if it belongs to another key (said in the
// log). Throws Error(kBadData) on a file that does not fit.
std::optional<TrainState> load_train_state(const fs::path& path, const std::string& key, FlatModel& model,
                                           Optimizers& optimizers);

}  // namespace elastify
