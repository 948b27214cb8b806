#include "label/right_loss.h"

#include <cmath>
#include <numeric>

#include "eval/task_tokens.h"

namespace elastify {

RightLoss::RightLoss(TaskModel& model, const elrt::Tokenizer& tokenizer, const TaskItem& task,
                     std::size_t context_tokens)
    : model_(model), tokenizer_(tokenizer), task_(task), context_tokens_(context_tokens) {
  task_.options = {task.options[task.answer]};
  task_.answer = 0;
}

double RightLoss::operator()(const std::string& text) {
  const TaskTokens tokens = tokenize_task(tokenizer_, "", asked_behind(task_, text), context_tokens_);
  if (!tokens.fits || tokens.shortened) return std::nan("");
  const auto losses = model_.losses(tokens.options[0].ids, tokens.options[0].from);
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
}

double RightLoss::without(const WordedPrompt& prompt, std::size_t begin, std::size_t end) {
  std::vector<bool> removed(prompt.pieces.words.size(), false);
  for (std::size_t w = begin; w < end; ++w) removed[w] = true;
  return (*this)(without_words(prompt, removed));
}

}  // namespace elastify
