// What a stage of the pipeline is: one entry of the table in stage_table.cpp, from which build, help, subcommands,
// checks of settings and keys follow.
#pragma once

#include <string>
#include <vector>

#include "base/torch.h"
#include "model/decoder.h"
#include "pipeline/pipeline_config.h"
#include "pipeline/run_directory.h"

namespace elastify {

// What a stage has at hand while it runs. Inputs and outputs lie in the run directory.
struct StageContext {
  const PipelineConfig& config;
  RunDirectory& run;
  torch::Device device;
  fs::path work;                   // for progress; removed once the stage is done
  std::string key;                 // names the inputs: progress saved under another key is of no use
  double* stated_bytes = nullptr;  // what the stage said it would need, see state_memory()
  std::uint64_t seed() const { return static_cast<std::uint64_t>(config.seed); }
};

// A path that stands in the settings.
struct InputPath {
  std::string key;  // of the settings, as `data.recovery`
  fs::path path;
  // Empty: a file. Else a folder, of which these are read, those that begin with '?' only where they exist.
  std::vector<std::string> files;
};

// What a stage's result depends on next to its own settings, the seed and the tool's version.
struct StageInputs {
  bool checkpoint = false;          // and its tokenizer
  bool text = false;                // of the data section, or sampled
  bool compute = false;             // device and threads
  std::vector<std::string> stages;  // that must have run
  std::vector<InputPath> paths;
  json more = json::object();  // what follows from the settings and the machine
};

struct Stage {
  const char* name;
  const char* help;                  // one line: what it does -> what it leaves
  std::vector<std::string> outputs;  // files and folders of the run directory that later stages read
  // Of the settings: keys and sections that the result depends on; "-section.key" takes one out of a section.
  std::vector<std::string> settings;
  StageInputs (*inputs)(const PipelineConfig& config);
  json (*run)(const StageContext& context);      // leaves its outputs complete, returns its summary
  std::string (*describe)(const json& summary);  // for people, lines that end
  bool (*wanted)(const PipelineConfig& config);  // in a whole build
  const char* needs;  // what settings lack where the stage cannot run at all; nullptr: it always can
  // Operations it is likely to take, for the time left; only the proportions count.
  double (*work)(const PipelineConfig& config, const ModelConfig& model);
};

}  // namespace elastify
