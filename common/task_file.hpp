// Multiple-choice questions from files of several layouts, told apart by extension and fields.
//
// Layout                      Told by                                 Family
// our JSONL (tasks/item.h)    .jsonl with "question"                  its field
// llm-foundry's choices       .jsonl with "query", "choices", "gold"  file name; "Context\nQuestion: ..." is cut in two
// llm-foundry's schemas       .jsonl with "context_options",          file name
//                             "continuation", "gold"
// ElastiLM's request traces   .json, lists [question, choices,        the request's data set
//                             gold, [TTFT, TPOT], arrival, data set]
// Octopus function choice     .csv, question, options..., letter      octopus
// LlamaTouch app choice       .tsv, task and app, or the full table   llamatouch; options are all apps of the file
//                             with a header                           (spellings that differ in case only are one)
#pragma once

#include <map>
#include <string>
#include <vector>

#include <filesystem>
#include "common/eval_item.hpp"

namespace common {

namespace fs = std::filesystem;

struct TaskFile {
  std::vector<EvalItem> items;
  // Public sets hold questions that cannot be scored: why they were left out, and how many. Our JSONL has none: there
  // such an item is an error.
  std::map<std::string, std::size_t> left_out{};
};

// Throws Error(kBadData) with file and line (or item) on anything malformed, on text that is not UTF-8, on another
// layout and on no items.
TaskFile read_task_file(const fs::path& path, TaskOptions options = TaskOptions::kRequired);

}  // namespace common
