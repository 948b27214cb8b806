// Every setting says what it means, and configs/README.md says it too.
#include "unit/pipeline/support.h"

using namespace elastify;
using namespace elastify_test;

TEST_CASE("every key of the settings has a default and a meaning", "[pipeline][unit]") {
  const json keys = describe_config<PipelineConfig>();
  json defaults = config_to_json(PipelineConfig{});
  std::set<std::string> described;
  for (const auto& entry : keys) {
    INFO(entry);
    const auto key = entry.at("key").get<std::string>();
    CHECK(described.insert(key).second);
    CHECK_FALSE(entry.at("meaning").get<std::string>().empty());
    if (entry.at("type") == "section") continue;
    std::string path = "/" + key;
    std::replace(path.begin(), path.end(), '.', '/');
    CHECK(entry.at("default") == defaults.at(json::json_pointer(path)));
  }
  // None is left out.
  const std::function<void(const json&, const std::string&)> walk = [&](const json& section, const std::string& path) {
    for (const auto& item : section.items()) {
      CHECK(described.count(path + item.key()) == 1);
      if (item.value().is_object()) walk(item.value(), path + item.key() + ".");
    }
  };
  walk(defaults, "");
}

TEST_CASE("configs/README.md is what elastify config --describe prints", "[pipeline][unit]") {
  CHECK(read_bytes(ELASTIFY_SOURCE_DIR "/configs/README.md") == settings_readme(describe_config<PipelineConfig>()));
}
