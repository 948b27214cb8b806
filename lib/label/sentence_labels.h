// Which sentences of a context an answer hangs on, by the language model's own loss.
#pragma once

#include <vector>

#include "eval/task_model.h"
#include "label/task_prompt.h"
#include "label/word_labels.h"

namespace elastify {

struct SentenceRise {
  WordRange words;
  double rise = 0;  // nats per token of the right answer: the loss without these words, less the loss with all
};

// Leaving one sentence out at a time: every stretch of word_stretches() whatever its length, in order; one pass each
// and one for the whole. Empty for a task that does not fit `context_tokens`.
std::vector<SentenceRise> sentence_rises(TaskModel& model, const elrt::Tokenizer& tokenizer, const TaskItem& task,
                                         const WordedPrompt& prompt, std::size_t context_tokens);

}  // namespace elastify
