#include "label/repeats.h"

#include "base/error.h"

namespace elastify {

std::vector<PreparedTask> asked_again(std::vector<PreparedTask> tasks, std::size_t repeat) {
  const std::string& own = kCues.front();
  for (PreparedTask& task : tasks) {
    for (std::string& prompt : task.prompts) {
      require(prompt.ends_with(own), "a task's prompt does not end with its cue: {}", prompt);
      prompt.replace(prompt.size() - own.size(), own.size(), kCues.at(repeat));
    }
  }
  return tasks;
}

}  // namespace elastify
