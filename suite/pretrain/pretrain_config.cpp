#include "pretrain/pretrain_config.h"

namespace elastify {

PretrainConfig load_pretrain_config(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  return read_config<PretrainConfig>(read_config_document(path, overrides), path.string());
}

}  // namespace elastify
