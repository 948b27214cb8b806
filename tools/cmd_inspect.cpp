// elastify inspect: what an artifact holds.
#include <iostream>
#include <memory>

#include "commands.h"
#include "pack/inspect.h"

namespace elastify_cli {

void register_inspect(CLI::App& app) {
  struct Options {
    std::string file;
    bool json = false, verify = false;
  };
  CLI::App* command = app.add_subcommand("inspect", "levels, ratios, adapters and sources of an artifact");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file, "an artifact, model.gguf")->required();
  command->add_flag("--verify", options->verify, "also compare the checksum of every tensor");
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer("Example:\n  elastify inspect runs/demo/model.gguf --verify");
  command->callback([options] {
    const nlohmann::json summary = elastify::inspect_artifact(options->file, options->verify);
    if (options->json)
      print_json(summary);
    else
      std::cout << elastify::format_inspection(summary);
  });
}

}  // namespace elastify_cli
