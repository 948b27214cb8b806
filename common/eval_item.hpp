// One multiple-choice question as `elastify eval` scores it.
#pragma once

#include <string>
#include <vector>

#include "common/task_item.hpp"

namespace common {

struct EvalItem {
  TaskItem task;                     // of which eval reads id, family, context, question, options and answer
  std::vector<std::string> leads{};  // empty, or one per option: what this option is read after, in place of the
                                     // question (WinoGrande: two sentence starts, one continuation); read, not scored
  std::string cue = "\nA:";          // what stands between the question and an option's space
};

// `prompt` + `text` is what the model reads for an option; only `text` is scored.
struct OptionText {
  std::string prompt, text;
};
inline OptionText option_text(const EvalItem& item, std::size_t option) {
  if (item.leads.empty()) {
    const std::string context = item.task.context.empty() ? "" : item.task.context + "\n";
    return {context + item.task.question + item.cue, option_behind_prompt(item.task.options[option])};
  }
  return {item.leads[option], " " + item.task.options[option]};
}

}  // namespace common
