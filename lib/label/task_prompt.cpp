#include "label/task_prompt.h"

#include <algorithm>
#include <cctype>

#include "base/runtime_result.h"
#include "tlm/prompt_scorer.h"

namespace elastify {

elrt::TextSpan question_span(const TaskItem& task) {
  return {task.context.empty() ? 0 : task.context.size() + 1, task_prompt(task).size()};
}

WordedPrompt word_prompt(const TaskItem& task, const elrt::WordPiece& vocabulary) {
  WordedPrompt prompt{task_prompt(task), {}, {}};
  const elrt::TextSpan question = question_span(task);
  prompt.pieces = encode_words(vocabulary, prompt.text, question);
  prompt.rules.spans.push_back(question);
  return prompt;
}

namespace {

elrt::CompressedPrompt compress(const WordedPrompt& prompt, const std::vector<float>& scores, std::size_t keep) {
  return take(elrt::compress_prompt_to(prompt.text, prompt.pieces.words, scores, keep, prompt.rules));
}

}  // namespace

std::vector<bool> free_words(const WordedPrompt& prompt) {
  // Asked to keep nothing, compression keeps what must stay; bullets without their line's words go too, and are no
  // words.
  const std::vector<float> scores(prompt.pieces.words.size(), 0);
  const auto least = compress(prompt, scores, 0);
  std::vector<bool> free = least.kept;
  free.flip();
  for (std::size_t w = 0; w < free.size(); ++w) {
    const auto& word = prompt.pieces.words[w];
    if (word.end - word.begin == 1 && !std::isalnum(static_cast<unsigned char>(prompt.text[word.begin])))
      free[w] = false;
  }
  return free;
}

std::string without_words(const WordedPrompt& prompt, const std::vector<bool>& removed) {
  std::vector<float> scores(removed.size(), 1);
  for (std::size_t w = 0; w < removed.size(); ++w) scores[w] = removed[w] ? 0.0f : 1.0f;
  const auto all = compress(prompt, scores, removed.size());
  const auto gone = static_cast<std::size_t>(std::count(removed.begin(), removed.end(), true));
  return compress(prompt, scores, all.words_total - std::min(gone, all.words_total)).text;
}

EvalItem asked_behind(const TaskItem& task, const std::string& text) {
  EvalItem item{task, {}};
  item.leads.assign(task.options.size(), text);
  return item;
}

}  // namespace elastify
