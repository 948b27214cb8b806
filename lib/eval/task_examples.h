// A few tasks with what each level wrote, for people to read.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "eval/eval_item.h"

namespace elastify {

class TaskExamples {
 public:
  // Of `items`, the first `count` of every family that can be answered in writing.
  TaskExamples(const std::vector<const EvalItem*>& items, std::int64_t count);

  // What `level` wrote for item `index` of the items; nothing where it is not among the examples.
  void add(std::size_t index, std::int64_t level, const std::string& written);

  // [{id, family, prompt, answer, written: [{level, text, right}]}], in the items' order.
  nlohmann::json to_json() const { return examples_; }

 private:
  std::vector<std::int64_t> place_of_;  // per item, index into examples_, or -1
  nlohmann::json examples_ = nlohmann::json::array();
};

std::string format_examples(const nlohmann::json& examples);

}  // namespace elastify
