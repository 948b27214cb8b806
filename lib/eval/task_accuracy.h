// Accuracy of an artifact's levels on multiple-choice tasks, measured with the runtime that serves it.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/plot.h"

namespace elastify {

struct TaskAccuracyRequest {
  fs::path artifact;
  std::vector<std::string> tasks;    // files, as task_reader.h reads them; families of one name are joined
  std::vector<std::int64_t> levels;  // empty: all
  std::int64_t limit = 0;            // the first so many items of each family; 0: all
  std::int64_t few_shot = 0;         // solved examples before each question, from the same family
  bool generate = false;             // also let the model write the answer, and count exact matches
  std::int64_t show = 0;         // with generate: the first so many items of each family with what every level wrote
  std::string context = "full";  // or a control: none, shuffled, half
  std::int64_t seed = 1;         // of the examples' order and of the controls
  std::int64_t threads = 0;      // 0: all cores; changes speed, no result
  bool plain = true;             // also levels that have an adapter without it
};

// {context, few_shot, items, shortened, left_out, [examples: TaskExamples::to_json()], levels: [{level, adapter,
// mean_accuracy, [mean_exact_match], families: {NAME: FamilyTally's fields}}]}; with `plain` a level that has an
// adapter also has mean_accuracy_without_adapter and, in each family, without_adapter with the same fields. Means are
// over families. Examples keep their own contexts, except that "none" takes theirs too. Throws Error on bad artifacts,
// levels and tasks.
nlohmann::json measure_task_accuracy(const TaskAccuracyRequest& request);

std::string format_task_accuracy(const nlohmann::json& result);

// Mean accuracy by level with its 95 % interval, with and without adapters, next to chance.
Plot task_accuracy_plot(const nlohmann::json& result);
// The same as an SVG file. False where gnuplot is missing.
bool draw_task_accuracy(const fs::path& svg, const nlohmann::json& result);

}  // namespace elastify
