// What the right answer costs a language model, however the text before it was changed.
#pragma once

#include <string>

#include "eval/task_model.h"
#include "label/task_prompt.h"

namespace elastify {

// Nats per token of the right answer. Model and tokenizer must outlive it. `context_tokens`: the model's.
class RightLoss {
 public:
  RightLoss(TaskModel& model, const elrt::Tokenizer& tokenizer, const TaskItem& task, std::size_t context_tokens);
  double operator()(const std::string& text);  // after `text`; NaN where it does not fit
  double without(const WordedPrompt& prompt, std::size_t begin, std::size_t end);  // without the words [begin, end)

 private:
  TaskModel& model_;
  const elrt::Tokenizer& tokenizer_;
  TaskItem task_;
  std::size_t context_tokens_;
};

}  // namespace elastify
