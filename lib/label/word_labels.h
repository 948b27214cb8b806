// Labels for the score-head from the language model's own behaviour: words whose removal raises the loss of the right
// answer.
//
// Leaving out every word alone costs a pass a word. Here whole stretches (a sentence, at most `chunk_words` words) are
// left out first, and single words only inside the stretches that matter: about a quarter of the passes for the same
// exact measurements where they count. (Random removals with a regression need several passes for every word that they
// tell from noise, and the gradient of a mask is blind where the answer is copied: it is near 0 for a model that is
// sure.) A stretch's rise, shared by its words, also labels the words that stand next to a decisive one and make it
// readable.
#pragma once

#include <vector>

#include "eval/task_model.h"
#include "label/task_prompt.h"

namespace elastify {

struct WordLabelConfig {
  std::int64_t chunk_words = 12;  // longest stretch
  std::int64_t open_chunks = 3;   // stretches whose words are left out one by one, those of the largest rise
  double min_rise = 0.02;         // nats per token of the right answer: what a word must carry to be retained

  template <typename V>
  void visit(V& v) {
    v.integer("chunk_words", chunk_words, 1, 1 << 20, "longest stretch that is left out at once");
    v.integer("open_chunks", open_chunks, 0, 1 << 20,
              "stretches whose words are left out one by one, those of the largest rise");
    v.number("min_rise", min_rise, 0, 100, "nats per token of the right answer that a word must carry to be retained");
  }
};

// Stretches of free words in order: cut after a word that ends a sentence, at a line end, around what must stay, and
// at the limit.
struct WordRange {
  std::size_t begin = 0, end = 0;
  bool operator==(const WordRange&) const = default;
};
std::vector<WordRange> word_stretches(const WordedPrompt& prompt, std::int64_t chunk_words);

// Per word of the prompt, nats per token of the right answer: what its removal raises the loss by (0 where it falls)
// plus its share of its stretch's rise. 0 for what must stay. `context_tokens`: the model's; a task that does not fit
// gives none (an empty list).
std::vector<double> word_importance(TaskModel& model, const elrt::Tokenizer& tokenizer, const TaskItem& task,
                                    const WordedPrompt& prompt, const WordLabelConfig& config,
                                    std::size_t context_tokens);

// 1 retain, 0 discard, kIgnore (of the trainer) for what must stay.
std::vector<std::int64_t> retain_labels(const WordedPrompt& prompt, const std::vector<double>& importance,
                                        double min_rise);

}  // namespace elastify
