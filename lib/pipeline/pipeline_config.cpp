#include "pipeline/pipeline_config.h"

#include "base/error.h"

namespace elastify {

PipelineConfig load_pipeline_config(const fs::path& path, const std::vector<std::string>& overrides) {
  PipelineConfig config = read_config<PipelineConfig>(read_config_document(path, overrides), path.string());
  if (config.checkpoint.empty())
    fail_usage("{}: checkpoint is missing: give it in the file or with --set checkpoint=PATH", path.string());
  return config;
}

}  // namespace elastify
