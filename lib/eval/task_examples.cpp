#include "eval/task_examples.h"

#include <fmt/format.h>

#include <map>

#include "eval/answer_text.h"

namespace elastify {

using nlohmann::json;

TaskExamples::TaskExamples(const std::vector<const EvalItem*>& items, std::int64_t count)
    : place_of_(items.size(), -1) {
  std::map<std::string, std::int64_t> taken;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const TaskItem& task = items[i]->task;
    if (!items[i]->leads.empty() || taken[task.family] >= count) continue;
    ++taken[task.family];
    place_of_[i] = static_cast<std::int64_t>(examples_.size());
    examples_.push_back({{"id", task.id},
                         {"family", task.family},
                         {"prompt", option_text(*items[i], 0).prompt},
                         {"answer", task.options[task.answer]},
                         {"written", json::array()}});
  }
}

void TaskExamples::add(std::size_t index, std::int64_t level, const std::string& written) {
  if (place_of_[index] < 0) return;
  json& example = examples_[static_cast<std::size_t>(place_of_[index])];
  const bool right = same_answer(written, example.at("answer").get<std::string>());
  example["written"].push_back({{"level", level}, {"text", written}, {"right", right}});
}

std::string format_examples(const json& examples) {
  std::string text;
  for (const auto& example : examples) {
    text += fmt::format("\n--- {}\n{}\n", example.at("id").get<std::string>(), example.at("prompt").get<std::string>());
    text += fmt::format("{:<10} {}\n", "answer", example.at("answer").get<std::string>());
    for (const auto& written : example.at("written")) {
      text += fmt::format("level {:<4} {}{}\n", written.at("level").get<int>(), written.at("text").get<std::string>(),
                          written.at("right").get<bool>() ? "" : "   (wrong)");
    }
  }
  return text;
}

}  // namespace elastify
