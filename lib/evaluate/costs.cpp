#include "evaluate/costs.h"

#include <elrt/session.hpp>

#include "base/runtime_result.h"
#include "base/stopwatch.h"
#include "pipeline/stage_table.h"

namespace elastify {
namespace {

using nlohmann::json;

double measure_switch_us(elrt::Session& session, std::uint32_t level, std::uint32_t other) {
  constexpr int kSwitches = 1000;
  const Stopwatch watch;
  for (int i = 0; i < kSwitches; ++i) {
    take(session.set_level(other));
    take(session.set_level(level));
  }
  return watch.seconds() * 1e6 / (2 * kSwitches);
}

}  // namespace

json stage_costs(const fs::path& run_dir) {
  json costs = json::array();
  for (const Stage& stage : stage_table()) {
    const fs::path path = run_dir / ".stages" / (std::string(stage.name) + ".summary.json");
    if (!fs::exists(path)) continue;
    const json summary = read_json(path);
    costs.push_back({{"stage", stage.name},
                     {"seconds", summary.value("stage_seconds", json())},
                     {"memory_bytes", summary.value("memory", json::object()).value("used_bytes", json())},
                     {"energy_joules", summary.value("energy_joules", json())}});
  }
  return costs;
}

json carrying_costs(const fs::path& path) {
  const elrt::Artifact artifact = take(elrt::Artifact::open(path));
  const auto levels = artifact.levels();
  json result = {{"artifact_bytes", fs::file_size(path)}, {"levels", json::array()}};
  double separate = 0;
  elrt::SessionOptions options;
  options.threads = 1;
  options.context_tokens = 1;
  elrt::Session session = take(elrt::Session::create(artifact, options));
  const std::uint32_t largest = levels.back().level, next = levels[levels.size() > 1 ? levels.size() - 2 : 0].level;
  for (const auto& level : levels) {
    separate += static_cast<double>(level.bytes_per_token);
    const std::uint32_t other = level.level == largest ? next : largest;
    take(session.set_level(level.level));
    result["levels"].push_back({{"level", level.level},
                                {"bytes", level.bytes_per_token},
                                {"switch_us", measure_switch_us(session, level.level, other)}});
  }
  result["separate_bytes"] = separate;
  return result;
}

}  // namespace elastify
