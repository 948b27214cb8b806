// A task's prompt as words that may go and words that must stay.
#pragma once

#include <elrt/compression.hpp>

#include <string>
#include <vector>

#include "eval/eval_item.h"

namespace elastify {

struct WordedPrompt {
  std::string text;         // task_prompt()
  elrt::WordPieces pieces;  // of `text`
  elrt::KeepRules rules;    // the question and its cue stay at every level
};
// Of task_prompt(): what stands after the context.
elrt::TextSpan question_span(const TaskItem& task);
WordedPrompt word_prompt(const TaskItem& task, const elrt::WordPiece& vocabulary);

// Words that compression may remove: none of what must stay.
std::vector<bool> free_words(const WordedPrompt& prompt);

// The prompt without the listed words (true: goes), which must be free ones.
std::string without_words(const WordedPrompt& prompt, const std::vector<bool>& removed);

// The task asked after `text` instead of its own prompt.
EvalItem asked_behind(const TaskItem& task, const std::string& text);

}  // namespace elastify
