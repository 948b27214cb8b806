#include "pipeline/pipeline_config.h"

#include "base/error.h"

namespace elastify {

PipelineConfig load_pipeline_config(const fs::path& path, const std::vector<std::string>& overrides) {
  json document;
  try {
    document = read_json(path);
  } catch (const Error& error) {
    throw Error(ErrorCode::kUsage, error.what());  // a wrong command line, not damaged data
  }
  for (const auto& assignment : overrides) apply_override(document, assignment);
  PipelineConfig config = read_config<PipelineConfig>(document, path.string());
  if (config.checkpoint.empty()) fail_usage("{}: checkpoint is missing: give it in the file or with --set checkpoint=PATH", path.string());
  return config;
}

}  // namespace elastify
