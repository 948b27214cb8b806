#include "label/word_ranking.h"

#include <algorithm>
#include <random>

#include "base/hash.h"
#include "tlm/prompt_scorer.h"

namespace elastify {
namespace {

std::vector<std::vector<float>> by_score_head(const std::vector<TaskItem>& tasks,
                                              const std::vector<WordedPrompt>& prompts, const DualHead& model,
                                              const elrt::WordPiece& vocabulary) {
  std::vector<elrt::WordPieces> pieces;
  for (const auto& prompt : prompts) pieces.push_back(prompt.pieces);
  auto scores = score_words(model, vocabulary, pieces, model.slo.ids(1, 1), 32);
  for (std::size_t i = 0; i < tasks.size(); ++i)
    scores[i] = elrt::sentence_scores(prompts[i].text, prompts[i].pieces.words, scores[i], question_span(tasks[i]));
  return scores;
}

std::vector<float> without_model(const std::string& ranking, const TaskItem& task, const WordedPrompt& prompt,
                                 std::uint64_t seed) {
  std::mt19937_64 random(derive_seed(seed, ranking + task.id));
  std::vector<float> scores;
  for (std::size_t w = 0; w < prompt.pieces.words.size(); ++w) {
    const auto& word = prompt.pieces.words[w];
    const auto relevant = [&](const ByteSpan& span) { return word.begin < span.end && word.end > span.begin; };
    const float draw = static_cast<float>(random() >> 40) / static_cast<float>(1 << 24);
    if (ranking == "last words")
      scores.push_back(static_cast<float>(w));
    else if (ranking == "gold relevance" && std::any_of(task.relevant.begin(), task.relevant.end(), relevant))
      scores.push_back(1 + draw);
    else
      scores.push_back(draw);
  }
  return scores;
}

}  // namespace

std::string ranking_of_labels(const LabelConfig& config) {
  return config.ranking == "random" ? "random words" : "score-head";
}

std::vector<std::vector<float>> rank_words(const std::string& ranking, const std::vector<TaskItem>& tasks,
                                           const std::vector<WordedPrompt>& prompts, const DualHead& model,
                                           const elrt::WordPiece& vocabulary, std::uint64_t seed) {
  if (ranking == "score-head") return by_score_head(tasks, prompts, model, vocabulary);
  std::vector<std::vector<float>> scores;
  for (std::size_t i = 0; i < tasks.size(); ++i) scores.push_back(without_model(ranking, tasks[i], prompts[i], seed));
  return scores;
}

}  // namespace elastify
