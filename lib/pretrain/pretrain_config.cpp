#include "pretrain/pretrain_config.h"

#include "base/error.h"
#include "base/files.h"

namespace elastify {

PretrainConfig load_pretrain_config(const fs::path& path, const std::vector<std::string>& overrides) {
  json document;
  try {
    document = read_json(path);
  } catch (const Error& error) {
    throw Error(ErrorCode::kUsage, error.what());  // a wrong command line, not damaged data
  }
  for (const auto& assignment : overrides) apply_override(document, assignment);
  return read_config<PretrainConfig>(document, path.string());
}

}  // namespace elastify
