#include "label/word_labels.h"

#include <algorithm>
#include <cmath>

#include "label/right_loss.h"

namespace elastify {
namespace {

constexpr std::int64_t kNoLabel = -100;  // the trainer's kIgnore

bool ends_sentence(std::string_view word) {
  return !word.empty() && std::string_view(".!?;").find(word.back()) != std::string_view::npos;
}

}  // namespace

std::vector<WordRange> word_stretches(const WordedPrompt& prompt, std::int64_t chunk_words) {
  const auto free = free_words(prompt);
  const auto& words = prompt.pieces.words;
  std::vector<WordRange> stretches;
  bool open = false;
  for (std::size_t w = 0; w < words.size(); ++w) {
    if (!free[w]) {
      open = false;
      continue;
    }
    const std::size_t before = w == 0 ? 0 : words[w - 1].end;
    const bool new_line = prompt.text.substr(before, words[w].begin - before).find('\n') != std::string::npos;
    if (!open || new_line || stretches.back().end - stretches.back().begin >= static_cast<std::size_t>(chunk_words))
      stretches.push_back({w, w});
    stretches.back().end = w + 1;
    open = !ends_sentence(std::string_view(prompt.text).substr(words[w].begin, words[w].end - words[w].begin));
  }
  return stretches;
}

std::vector<double> word_importance(TaskModel& model, const elrt::Tokenizer& tokenizer, const TaskItem& task,
                                    const WordedPrompt& prompt, const WordLabelConfig& config,
                                    std::size_t context_tokens) {
  RightLoss loss(model, tokenizer, task, context_tokens);
  const double whole = loss(prompt.text);
  if (std::isnan(whole)) return {};
  std::vector<double> importance(prompt.pieces.words.size(), 0);
  struct Rise {
    WordRange range;
    double value = 0;
  };
  std::vector<Rise> rises;
  for (const auto& range : word_stretches(prompt, config.chunk_words))
    rises.push_back({range, loss.without(prompt, range.begin, range.end) - whole});
  std::stable_sort(rises.begin(), rises.end(), [](const Rise& a, const Rise& b) { return a.value > b.value; });
  for (std::size_t i = 0; i < rises.size() && rises[i].value > 0; ++i) {
    const auto [begin, end] = rises[i].range;
    const bool opened = i < static_cast<std::size_t>(config.open_chunks) && rises[i].value >= config.min_rise;
    for (std::size_t w = begin; w < end; ++w) {
      importance[w] = rises[i].value / static_cast<double>(end - begin);
      if (opened && end - begin > 1) importance[w] += std::max(0.0, loss.without(prompt, w, w + 1) - whole);
    }
  }
  return importance;
}

std::vector<std::int64_t> retain_labels(const WordedPrompt& prompt, const std::vector<double>& importance,
                                        double min_rise) {
  const auto free = free_words(prompt);
  std::vector<std::int64_t> labels(importance.size(), kNoLabel);
  for (std::size_t w = 0; w < labels.size(); ++w) {
    if (free[w]) labels[w] = importance[w] >= min_rise ? 1 : 0;
  }
  return labels;
}

}  // namespace elastify
