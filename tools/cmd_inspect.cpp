// elastify inspect: what an artifact or a checkpoint holds.
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
  CLI::App* command =
      app.add_subcommand("inspect", "levels and sources of an artifact; what an import makes of a checkpoint");
  auto options = std::make_shared<Options>();
  command
      ->add_option("FILE", options->file,
                   "an artifact (model.gguf), or a checkpoint: a Hugging Face folder, a .gguf or a llama2.c file")
      ->required();
  command->add_flag("--verify", options->verify,
                    "also read every tensor: checksums of an artifact, finite weights of a checkpoint");
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer(
      "Example:\n  elastify inspect runs/demo/model.gguf --verify\n  elastify inspect path/to/checkpoint --json");
  command->callback([options] {
    const nlohmann::json summary = elastify::inspect(options->file, options->verify);
    if (options->json)
      print_json(summary);
    else
      std::cout << elastify::format_summary(summary);
  });
}

}  // namespace elastify_cli
