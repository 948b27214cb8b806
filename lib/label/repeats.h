// Tasks asked again in other words, for bounds without luck (luck.h).
#pragma once

#include <string>
#include <vector>

#include "label/label_work.h"

namespace elastify {

// What stands between a question and its answer; the first is the tasks' own.
inline const std::vector<std::string> kCues{"\nA:", "\nAnswer:", "\nThe answer is:", "\nReply:", "\nSo:"};

// The tasks with kCues[repeat] in place of their own cue in every prompt; repeat 0: as they are.
std::vector<PreparedTask> asked_again(std::vector<PreparedTask> tasks, std::size_t repeat);

}  // namespace elastify
