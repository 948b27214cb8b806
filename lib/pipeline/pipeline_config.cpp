#include "pipeline/pipeline_config.h"

#include "base/error.h"

namespace elastify {

PipelineConfig load_pipeline_config(const fs::path& path, const std::vector<std::string>& overrides) {
  PipelineConfig config = read_config<PipelineConfig>(read_config_document(path, overrides), path.string());
  if (config.checkpoint.empty())
    fail_usage("{}: checkpoint is missing: give it in the file or with --set checkpoint=PATH", path.string());
  return config;
}

std::string settings_readme(const json& keys) {
  return R"(# Settings of a build

`elastify build CONFIG.json --run-dir DIR` and every stage's own command read one JSON file with a section per stage.
Each file here begins with `about`: what it is for and the command that runs it. `--set key.path=value` lays one value
over the file, for example `--set finetune.steps=100`. Unknown keys, wrong values and paths that are not there are
refused before the first stage starts, all of them at once. What a build used stands in `config.resolved.json` of its run
directory, and per stage in `.stages/STAGE.json`.

`random-*.json` are shapes for `elastify random`, `pretrain-*.json` settings of `elastify-suite pretrain`; neither is
described here. This file is written by `elastify config --describe`, and a test holds it to that.

## Keys

)" + format_description(keys);
}

}  // namespace elastify
