// Which words of a prompt go first: by the score-head, or otherwise, to know what the score-head is worth.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "label/label_config.h"
#include "label/task_prompt.h"
#include "tlm/dual_head.h"

namespace elastify {

// "score-head"; "random words"; "last words": what stands nearest to the question; "gold relevance": what the task
// itself names as relevant, then random words.
inline const std::vector<std::string> kRankings = {"score-head", "random words", "last words", "gold relevance"};

// That of the labelled prompts, one of kRankings.
std::string ranking_of_labels(const LabelConfig& config);

// Scores of the words of every task's prompt, higher stays longer, for compress_levels(); prompts: word_prompt() of the
// tasks. What is drawn depends on `seed`, the ranking and the task's id alone.
std::vector<std::vector<float>> rank_words(const std::string& ranking, const std::vector<TaskItem>& tasks,
                                           const std::vector<WordedPrompt>& prompts, const DualHead& model,
                                           const elrt::WordPiece& vocabulary, std::uint64_t seed);

}  // namespace elastify
