#include "pipeline/check_settings.h"

#include <elrt/latency_table.hpp>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/runtime_result.h"
#include "finetune/finetune.h"
#include "model/device.h"
#include "pipeline/stage_table.h"
#include "pipeline/text_source.h"
#include "tlm/body_vocabulary.h"
#include "tlm/dual_head_file.h"
#include "tlm/tlm_checkpoint.h"
#include "tokenizer/import.h"

namespace elastify {
namespace {

// Problems as they are found, thrown together.
class Problems {
 public:
  void add(const std::string& problem) {
    texts_.push_back(problem);
    code_ = ErrorCode::kUsage;
  }
  // Runs a check that throws; false where it did. `key`: the setting that it is about, unless the message names it.
  template <typename Check>
  bool collect(const std::string& key, Check&& check) {
    try {
      check();
      return true;
    } catch (const Error& error) {
      const std::string text = error.what();
      texts_.push_back(key.empty() || text.find(key) != std::string::npos ? text : key + ": " + text);
      if (error.code() != ErrorCode::kBadData || code_ == ErrorCode::kUsage) code_ = ErrorCode::kUsage;
      return false;
    }
  }
  void throw_all() const {
    if (texts_.empty()) return;
    if (texts_.size() == 1) throw Error(code_, texts_[0]);
    throw Error(code_, fmt::format("settings: {} problems: {}", texts_.size(), fmt::join(texts_, "; ")));
  }

 private:
  std::vector<std::string> texts_;
  ErrorCode code_ = ErrorCode::kBadData;
};

// What is wrong with a path that should be a file that can be read; empty: nothing.
std::string file_problem(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return fmt::format("{} does not exist", path.string());
  if (fs::is_directory(status)) return fmt::format("{} is a folder, expected a file", path.string());
  if (!fs::is_regular_file(status))
    return fmt::format("{} is a device, pipe or socket, expected a file", path.string());
  if (::access(path.c_str(), R_OK) != 0) return fmt::format("{}: {}", path.string(), std::strerror(errno));
  return "";
}

std::string path_problem(const InputPath& input) {
  if (input.files.empty()) return file_problem(input.path);
  std::error_code error;
  if (!fs::exists(input.path, error)) return fmt::format("{} does not exist", input.path.string());
  if (!fs::is_directory(input.path, error))
    return fmt::format("{} is a file, expected the folder that it lies in", input.path.string());
  for (const auto& name : input.files) {
    if (name.front() == '?') continue;
    if (const std::string problem = file_problem(input.path / name); !problem.empty()) return problem;
  }
  return "";
}

void check_paths(const PipelineConfig& config, const std::vector<const Stage*>& stages, Problems& problems) {
  std::set<std::string> seen;
  const auto check = [&](const InputPath& input) {
    const std::string problem = path_problem(input);
    if (!problem.empty() && seen.insert(input.key + problem).second) problems.add(input.key + ": " + problem);
  };
  for (const Stage* stage : stages) {
    const StageInputs inputs = stage->inputs(config);
    for (const auto& input : inputs.paths) check(input);
    if (!inputs.text) continue;
    for (const auto& input : text_paths(config.data)) check(input);
  }
}

void check_label_levels(const PipelineConfig& config, Problems& problems) {
  const auto planned = [&](std::int64_t level) {
    return std::count(config.reorder.levels.begin(), config.reorder.levels.end(), level) > 0;
  };
  const auto rising = [](const std::vector<std::int64_t>& levels) {
    return std::adjacent_find(levels.begin(), levels.end(), std::greater_equal<>()) == levels.end();
  };
  for (const std::int64_t level : config.label.model_levels) {
    if (!planned(level)) problems.add(fmt::format("label.model_levels: {} is not one of reorder.levels", level));
  }
  if (!rising(config.label.model_levels)) problems.add("label.model_levels: expected rising levels without repeats");
  if (!rising(config.label.prompt_levels) || config.label.prompt_levels.empty() ||
      config.label.prompt_levels.back() != 100)
    problems.add("label.prompt_levels: expected rising levels without repeats that end in 100");
  if (config.tlm.pairs.empty() && !planned(config.tlm.word_level))
    problems.add(fmt::format("tlm.word_level: {} is not one of reorder.levels", config.tlm.word_level));
  if (config.label.decisions_from == "validation" && config.label.validation.empty())
    problems.add("label.validation: expected task files, for label.decisions_from is \"validation\"");
}

// Makes the heads as the first stage that trains them will, on nothing but their shapes, and reads the body's
// vocabulary.
void check_heads(const PipelineConfig& config) {
  const TlmSettings& settings = config.tlm.model;
  if (!settings.body.empty() && settings.vocabulary.empty()) body_vocabulary_text(settings.body);
  DualHeadConfig heads = settings.heads;
  heads.prompt_levels = config.label.prompt_levels;
  heads.model_levels = config.label.model_levels.empty() ? config.reorder.levels : config.label.model_levels;
  if (settings.body.empty()) {
    const TlmConfig shape = settings.size.resolve(settings.size.vocab_size);
    make_dual_head(random_tlm_body(shape, 1), heads, 1);
  } else if (is_dual_head(settings.body)) {
    with_levels_of(read_dual_head(settings.body, torch::kCPU, torch::kFloat32), heads, 1);
  } else {
    make_dual_head(read_tlm_checkpoint(settings.body, torch::kCPU, torch::kFloat32).body, heads, 1);
  }
}

void check_latency_table(const PipelineConfig& config) {
  const elrt::LatencyTable table = take(elrt::LatencyTable::read(config.tlm.latency_table));
  const auto& levels = config.label.model_levels.empty() ? config.reorder.levels : config.label.model_levels;
  for (const std::int64_t level : levels) {
    if (!std::isfinite(table.ttft_ms(static_cast<std::uint32_t>(level), 1)))
      fail_usage("tlm.latency_table: {} lacks level {}: calibrate the artifact that is labelled",
                 config.tlm.latency_table, level);
  }
}

bool runs(const std::vector<const Stage*>& stages, const std::string& name) {
  return std::any_of(stages.begin(), stages.end(), [&](const Stage* stage) { return name == stage->name; });
}

void check_tlm(const PipelineConfig& config, const std::vector<const Stage*>& stages, Problems& problems) {
  const auto there = [](const std::string& path) { return !path.empty() && fs::exists(path); };
  if (runs(stages, "train-score") && (config.tlm.model.body.empty() || there(config.tlm.model.body)))
    problems.collect("tlm", [&] { check_heads(config); });
  if ((runs(stages, "train-tlm") || runs(stages, "compare")) && file_problem(config.tlm.latency_table).empty())
    problems.collect("tlm.latency_table", [&] { check_latency_table(config); });
}

}  // namespace

void check_settings(const PipelineConfig& config, const std::vector<const Stage*>& stages) {
  Problems problems;
  PipelineConfig with_device = config;  // what is read does not depend on a device that is not there
  if (!problems.collect("device", [&] { parse_device(config.device); })) with_device.device = "cpu";
  std::optional<Checkpoint> checkpoint;
  problems.collect("", [&] { checkpoint = Checkpoint::open(config.checkpoint); });
  for (const auto& problem : level_problems(config.reorder.levels)) problems.add("reorder." + problem);
  if (const std::int64_t level = config.reorder.anchors_judged_at; level > 0 && config.reorder.kind != "measured") {
    const auto& levels = config.reorder.levels;
    if (std::find(levels.begin(), levels.end(), level) == levels.end())
      problems.add(fmt::format("reorder.anchors_judged_at: {} is not one of reorder.levels", level));
  }
  if (find_stage("finetune").wanted(config) || runs(stages, "finetune")) {
    for (const auto& problem : settings_problems(config.finetune, config.reorder.levels))
      problems.add("finetune." + problem);
  }
  if (config.label.wanted()) check_label_levels(config, problems);
  if (checkpoint) {
    problems.collect("anchors.count", [&] { anchor_count(config.anchors, checkpoint->config().num_layers); });
    problems.collect("tokenizer", [&] {
      import_tokenizer(tokenizer_path(config, *checkpoint), checkpoint->config().vocab_size,
                       checkpoint->tokenizer_dir());
    });
    check_paths(with_device, stages, problems);
  }
  for (const Stage* stage : stages) {
    if (stage->needs != nullptr && !config.label.wanted())
      problems.add(fmt::format("stage {} needs {}", stage->name, stage->needs));
  }
  if (config.label.wanted()) check_tlm(config, stages, problems);
  problems.throw_all();
}

}  // namespace elastify
