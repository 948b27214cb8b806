#include "reorder/plan.h"

#include "base/error.h"
#include "base/files.h"
#include "reorder/plan_chart.h"

namespace elastify {
namespace {

using nlohmann::json;

std::vector<std::int64_t> read_counts(const json& value, const std::string& where, std::size_t size,
                                      std::int64_t high) {
  std::vector<std::int64_t> counts;
  for (const auto& item : value.is_array() ? value : json::array()) {
    if (!item.is_number_integer() || item.get<std::int64_t>() < 0 || item.get<std::int64_t>() > high) break;
    counts.push_back(item.get<std::int64_t>());
  }
  if (counts.size() != size || value.size() != size) {
    fail_data("{}: expected {} whole numbers in [0, {}], found {}", where, size, high, value.dump());
  }
  return counts;
}

void check_nesting(const ElasticPlan& plan, const std::string& source) {
  for (std::size_t i = 1; i < plan.levels.size(); ++i) {
    const LevelPlan &small = plan.levels[i - 1], &large = plan.levels[i];
    for (std::size_t layer = 0; layer < small.widths.neurons.size(); ++layer) {
      if (small.level >= large.level || small.widths.kv_groups[layer] > large.widths.kv_groups[layer] ||
          small.widths.neurons[layer] > large.widths.neurons[layer]) {
        fail_data("{}: levels {} and {} do not nest in layer {}", source, small.level, large.level, layer);
      }
    }
  }
}

}  // namespace

const LevelPlan& ElasticPlan::at(std::int64_t level) const {
  for (const auto& entry : levels) {
    if (entry.level == level) return entry;
  }
  fail_usage("the plan has no level {}", level);
}

void save_plan(const fs::path& path, const ElasticPlan& plan) {
  json levels = json::array();
  for (const auto& level : plan.levels) {
    levels.push_back({{"level", level.level},
                      {"block_ratio", level.block_ratio},
                      {"total_ratio", level.total_ratio},
                      {"anchors_give_way", level.anchors_give_way},
                      {"kv_groups", level.widths.kv_groups},
                      {"neurons", level.widths.neurons}});
  }
  write_json(
      path,
      {{"kind", plan.kind}, {"neuron_multiple", plan.neuron_multiple}, {"anchors", plan.anchors}, {"levels", levels}});
  draw_charts(fs::path(path).replace_extension(".svg"), plan_charts(plan));
}

ElasticPlan load_plan(const fs::path& path, const ModelConfig& config) {
  const json document = read_json(path);
  const std::string source = path.string();
  ElasticPlan plan;
  try {
    plan.kind = document.at("kind").get<std::string>();
    plan.neuron_multiple = document.at("neuron_multiple").get<std::int64_t>();
    plan.anchors = document.at("anchors").get<std::vector<std::int64_t>>();
    const auto layers = static_cast<std::size_t>(config.num_layers);
    for (const json& entry : document.at("levels")) {
      LevelPlan level;
      level.level = entry.at("level").get<std::int64_t>();
      level.anchors_give_way = entry.at("anchors_give_way").get<bool>();
      const std::string where = fmt::format("{}: level {}", source, level.level);
      level.widths.kv_groups = read_counts(entry.at("kv_groups"), where + " kv_groups", layers, config.num_kv_heads);
      level.widths.neurons = read_counts(entry.at("neurons"), where + " neurons", layers, config.intermediate_size);
      level.block_ratio = block_ratio(config, level.widths);
      level.total_ratio = total_ratio(config, level.widths);
      plan.levels.push_back(level);
    }
  } catch (const json::exception& error) {
    fail_data("{} is not a plan: {}; run the reorder stage again", source, error.what());
  }
  for (const std::int64_t anchor : plan.anchors) {
    if (anchor < 0 || anchor >= config.num_layers) fail_data("{}: anchor layer {} is out of range", source, anchor);
  }
  if (plan.levels.empty() || plan.levels.back().level != 100 || !(plan.levels.back().widths == full_widths(config))) {
    fail_data("{}: the last level must be 100 and keep everything", source);
  }
  check_nesting(plan, source);
  return plan;
}

}  // namespace elastify
