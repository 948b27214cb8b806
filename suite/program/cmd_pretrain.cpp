// elastify-suite pretrain: a model from nothing but data.
#include <iostream>
#include <memory>

#include "pretrain/pretrain.h"
#include "suite_commands.h"

namespace elastify_cli {

void register_pretrain(CLI::App& app) {
  struct Options {
    std::string config, out;
    std::vector<std::string> overrides;
    bool json = false;
  };
  CLI::App* command = app.add_subcommand("pretrain", "train a small model from scratch -> a Hugging Face checkpoint");
  auto options = std::make_shared<Options>();
  command->add_option("CONFIG", options->config, "settings, a JSON file")->required();
  command->add_option("--out", options->out, "the checkpoint's folder; a stopped run goes on from OUT.partial")
      ->required();
  command->add_option("--set", options->overrides, "KEY=VALUE over the file, e.g. --set steps=100; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer("Example:\n  elastify-suite pretrain configs/pretrain-cpu.json --out runs/base --set steps=500");
  command->callback([options] {
    const nlohmann::json summary =
        elastify::pretrain(elastify::load_pretrain_config(options->config, options->overrides), options->out);
    if (options->json)
      print_json(summary);
    else
      std::cout << elastify::format_pretrain(summary);
  });
}

}  // namespace elastify_cli
