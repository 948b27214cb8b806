// Real questions with the context that answers them, from public files.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "data/item.h"

namespace elastify {

// The questions of one file that have a context, each with the right answer as its only option:
//   .json, an array of "instruction", "input" and "output" (Dolly as Alpaca-like files have it): those with an input;
//   of an item that names its "category", only closed_qa and information_extraction, whose answers stand in the input;
//   every layout that read_task_file() knows, BoolQ's passages among them.
// Throws Error(kBadData) with the file on anything else, and for a file without such questions.
std::vector<TaskItem> read_question_pairs(const fs::path& path);

// At most `count` of each file, at even distances.
std::vector<TaskItem> choose_question_pairs(const std::vector<std::string>& paths, std::int64_t count);

}  // namespace elastify
