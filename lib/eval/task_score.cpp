#include "eval/task_score.h"

#include <numeric>

#include "eval/answer_text.h"
#include "eval/interval.h"

namespace elastify {
namespace {

nlohmann::json interval_json(std::size_t successes, std::size_t trials) {
  const Interval interval = wilson_interval(successes, trials);
  return {interval.low, interval.high};
}

}  // namespace

TaskOutcome run_task(TaskModel& model, const TaskTokens& tokens, std::size_t answer, bool generate) {
  TaskOutcome outcome;
  double lowest = 0;
  for (std::size_t i = 0; i < tokens.options.size(); ++i) {
    const auto losses = model.losses(tokens.options[i].ids, tokens.options[i].from);
    const double sum = std::accumulate(losses.begin(), losses.end(), 0.0),
                 mean = sum / static_cast<double>(losses.size());
    if (i == 0 || mean < lowest) {
      lowest = mean;
      outcome.chosen = i;
    }
    if (i == answer) {
      outcome.right_loss = sum;
      outcome.right_tokens = losses.size();
    }
  }
  if (generate && !tokens.prompt.empty()) outcome.written = model.answer(tokens.prompt, tokens.answer_room);
  return outcome;
}

void FamilyTally::add(const TaskItem& task, const TaskOutcome& outcome) {
  ++items_;
  right_ += outcome.chosen == task.answer ? 1 : 0;
  chance_ += 1.0 / static_cast<double>(task.options.size());
  loss_ += outcome.right_loss;
  tokens_ += outcome.right_tokens;
  if (!outcome.written) return;
  ++written_;
  exact_ += same_answer(*outcome.written, task.options[task.answer]) ? 1 : 0;
}

std::optional<double> FamilyTally::exact_match() const {
  if (written_ == 0) return std::nullopt;
  return static_cast<double>(exact_) / static_cast<double>(written_);
}

nlohmann::json FamilyTally::to_json() const {
  nlohmann::json result = {{"accuracy", accuracy()},
                           {"ci95", interval_json(right_, items_)},
                           {"n", items_},
                           {"chance", chance_ / static_cast<double>(items_)},
                           {"loss", loss_ / static_cast<double>(tokens_)}};
  if (const auto exact = exact_match()) {
    result["exact_match"] = *exact;
    result["exact_match_ci95"] = interval_json(exact_, written_);
  }
  return result;
}

}  // namespace elastify
