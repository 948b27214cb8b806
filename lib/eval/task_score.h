// From token losses to accuracy.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <optional>
#include <string>

#include "eval/task_model.h"
#include "eval/task_tokens.h"

namespace elastify {

struct TaskOutcome {
  std::size_t chosen = 0;  // the option with the lowest mean loss of its own tokens; the first of equals
  double right_loss = 0;   // sum over the right option's tokens, nats
  std::size_t right_tokens = 0;
  std::optional<std::string> written{};  // the greedy answer, where one was asked for and the item has a prompt
};

TaskOutcome run_task(TaskModel& model, const TaskTokens& tokens, std::size_t answer, bool generate);

// One family's sums.
class FamilyTally {
 public:
  void add(const TaskItem& task, const TaskOutcome& outcome);

  double accuracy() const { return static_cast<double>(right_) / static_cast<double>(items_); }
  std::optional<double> exact_match() const;  // nothing where no answer was written
  // {accuracy, ci95: [low, high], n, chance, loss, [exact_match, exact_match_ci95]}: chance is the mean of 1/options,
  // loss the right options' nats per token over all their tokens.
  nlohmann::json to_json() const;

 private:
  std::size_t items_ = 0, right_ = 0, written_ = 0, exact_ = 0, tokens_ = 0;
  double chance_ = 0, loss_ = 0;
};

}  // namespace elastify
