#include "finetune/level_result.h"

#include "base/error.h"
#include "base/log.h"

namespace elastify {
namespace {

// One list of names for reading and writing.
template <typename Result, typename Visit>
void for_each_field(Result& r, Visit&& visit) {
  visit("level", r.level);
  visit("block_ratio", r.block_ratio);
  visit("total_ratio", r.total_ratio);
  visit("loss_full", r.loss_full);
  visit("loss_before", r.loss_before);
  visit("loss_after", r.loss_after);
  visit("gain_error", r.gain_error);
  visit("held_out_tokens", r.held_out_tokens);
  visit("kept", r.kept);
  visit("shared", r.shared);
  visit("adapter_scale", r.adapter_scale);
  visit("steps_planned", r.steps_planned);
  visit("steps_run", r.steps_run);
  visit("best_step", r.best_step);
  visit("skipped_steps", r.skipped_steps);
  visit("learning_rate", r.learning_rate);
  visit("adapter_weights", r.adapter_weights);
  visit("tokens", r.tokens);
  visit("seconds", r.seconds);
  visit("evaluation_seconds", r.evaluation_seconds);
  visit("step_seconds", r.step_seconds);
  visit("peak_rss_bytes", r.peak_rss_bytes);
}

}  // namespace

nlohmann::json to_json(const LevelResult& result) {
  nlohmann::json document = nlohmann::json::object();
  for_each_field(result, [&](const char* name, const auto& value) { document[name] = value; });
  return document;
}

std::optional<LevelResult> load_level_result(const fs::path& directory, const std::string& key) {
  const fs::path path = directory / "result.json";
  if (!fs::exists(path)) return std::nullopt;
  const nlohmann::json document = read_json(path);
  try {
    if (document.at("key") != key) return std::nullopt;
    LevelResult result;
    for_each_field(result, [&](const char* name, auto& value) {
      const nlohmann::json& found = document.at(name);
      if (!found.is_null())
        found.get_to(value);  // null stands for a loss that was not finite
      else if constexpr (std::is_floating_point_v<std::remove_reference_t<decltype(value)>>)
        value = std::numeric_limits<double>::infinity();
    });
    return result;
  } catch (const nlohmann::json::exception& error) {
    fail_data("{} is damaged: {}; remove its folder to train the level again", path.string(), error.what());
  }
}

void save_level_result(const fs::path& directory, const LevelResult& result, const std::string& key) {
  nlohmann::json document = to_json(result);
  document["key"] = key;
  write_json(directory / "result.json", document);
}

fs::path level_directory(const fs::path& adapters, std::int64_t level) {
  return adapters / fmt::format("level_{:02}", level);
}

}  // namespace elastify
