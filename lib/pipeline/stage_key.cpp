#include "pipeline/stage_key.h"

#include "base/error.h"
#include "base/hash.h"
#include "pipeline/text_source.h"

namespace elastify {
namespace {

// "/label/train_items" of "label.train_items".
json::json_pointer pointer(const std::string& key) {
  std::string path = "/" + key;
  for (char& c : path) c = c == '.' ? '/' : c;
  return json::json_pointer(path);
}

void add_path(json& key, const InputPath& input, RunDirectory& run) {
  json& list = key["files"];
  if (input.files.empty()) {
    list.push_back(run.input_hash(input.path));
    return;
  }
  for (const auto& name : input.files) {
    const bool optional = name.front() == '?';
    const fs::path file = input.path / (optional ? name.substr(1) : name);
    if (!optional || fs::exists(file)) list.push_back(run.input_hash(file));
  }
}

}  // namespace

json stage_settings(const Stage& stage, const PipelineConfig& config) {
  const json all = config_to_json(config);
  json settings = json::object();
  for (const auto& key : stage.settings) {
    if (key.front() != '-')
      settings[pointer(key)] = all.at(pointer(key));
    else
      settings.at(pointer(key.substr(1, key.rfind('.') - 1))).erase(key.substr(key.rfind('.') + 1));
  }
  return settings;
}

std::string stage_key(const Stage& stage, const PipelineConfig& config, RunDirectory& run) {
  const StageInputs inputs = stage.inputs(config);
  json key = {{"version", tool_version()},
              {"stage", stage.name},
              {"seed", config.seed},
              {"settings", stage_settings(stage, config)},
              {"more", inputs.more}};
  if (inputs.compute) {
    key["device"] = config.device;
    key["threads"] = torch::get_num_threads();
  }
  for (const auto& earlier : inputs.stages) key["stages"].push_back(run.output_hash(earlier));
  if (inputs.checkpoint) {
    const Checkpoint checkpoint = Checkpoint::open(config.checkpoint);
    for (const auto& file : checkpoint.files()) key["checkpoint"].push_back(run.input_hash(file));
    for (const auto& file : tokenizer_files(tokenizer_path(config, checkpoint)))
      key["tokenizer"].push_back(run.input_hash(file));
    for (const auto& file : text_end_files(config, checkpoint)) key["tokenizer"].push_back(run.input_hash(file));
  }
  if (inputs.text) key["text"] = text_hash(run, config);
  for (const auto& path : inputs.paths) add_path(key, path, run);
  return hash_text(key.dump());
}

}  // namespace elastify
