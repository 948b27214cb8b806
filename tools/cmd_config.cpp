// elastify config: what may stand in a settings file.
#include <iostream>
#include <memory>

#include "commands.h"
#include "pipeline/pipeline_config.h"

namespace elastify_cli {

void register_config(CLI::App& app) {
  CLI::App* command = app.add_subcommand("config", "every key of a settings file: default, range, meaning");
  auto describe = std::make_shared<bool>(false);
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--describe", *describe, "all keys, as tables in Markdown (configs/README.md)")->required();
  command->add_flag("--json", *as_json, "as a JSON object: {keys: [{key, type, default, range, meaning}]}");
  command->callback([as_json] {
    const nlohmann::json keys = elastify::describe_config<elastify::PipelineConfig>();
    if (*as_json)
      print_json({{"keys", keys}});
    else
      std::cout << elastify::settings_readme(keys);
  });
}

}  // namespace elastify_cli
