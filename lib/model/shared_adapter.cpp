#include "model/shared_adapter.h"

#include <cmath>

#include "base/error.h"

namespace elastify {
namespace {

std::map<std::int64_t, double> read_scales(const nlohmann::json& settings, double otherwise, const fs::path& path) {
  try {
    const auto levels = settings.at("levels").get<std::vector<std::int64_t>>();
    const auto scales = settings.value("scales", std::vector<double>(levels.size(), otherwise));
    std::map<std::int64_t, double> found;
    for (std::size_t i = 0; i < levels.size() && scales.size() == levels.size(); ++i) {
      if (levels[i] >= 1 && levels[i] < 100 && std::isfinite(scales[i])) found[levels[i]] = scales[i];
    }
    if (!found.empty() && found.size() == levels.size()) return found;
  } catch (const nlohmann::json::exception&) {
  }
  fail_data("{}: expected levels, each once and from 1 to 99, and, if any, a scale for each; run finetune again",
            path.string());
}

}  // namespace

SharedAdapter load_shared_adapter(const fs::path& directory, const ModelConfig& config, torch::Device device,
                                  torch::ScalarType dtype) {
  SharedAdapter shared{load_adapter(directory, config, device, dtype), {}};
  const fs::path path = directory / "adapter_config.json";
  shared.scales = read_scales(read_json(path), shared.adapter.scale, path);
  return shared;
}

Adapter cut_adapter(const SharedAdapter& shared, std::int64_t level, const ModelConfig& config,
                    const LevelWidths& widths) {
  Adapter cut = slice_adapter(shared.adapter, config, widths);
  cut.scale = shared.scales.at(level);
  return cut;
}

fs::path shared_adapter_directory(const fs::path& adapters) { return adapters / "shared"; }

}  // namespace elastify
