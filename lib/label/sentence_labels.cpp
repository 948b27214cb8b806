#include "label/sentence_labels.h"

#include <cmath>
#include <limits>

#include "label/right_loss.h"

namespace elastify {

std::vector<SentenceRise> sentence_rises(TaskModel& model, const elrt::Tokenizer& tokenizer, const TaskItem& task,
                                         const WordedPrompt& prompt, std::size_t context_tokens) {
  RightLoss loss(model, tokenizer, task, context_tokens);
  const double whole = loss(prompt.text);
  if (std::isnan(whole)) return {};
  std::vector<SentenceRise> rises;
  for (const WordRange& range : word_stretches(prompt, std::numeric_limits<std::int64_t>::max()))
    rises.push_back({range, loss.without(prompt, range.begin, range.end) - whole});
  return rises;
}

}  // namespace elastify
