// elastify random: a checkpoint of any shape with random weights.
#include <iostream>
#include <memory>

#include "base/log.h"
#include "checkpoint/random_checkpoint.h"
#include "commands.h"

namespace elastify_cli {

void register_random(CLI::App& app) {
  struct Options {
    std::string config, out;
    std::uint64_t seed = 1;
    bool json = false;
  };
  CLI::App* command = app.add_subcommand("random", "write a random-weight Hugging Face checkpoint of any shape");
  auto options = std::make_shared<Options>();
  command->add_option("CONFIG", options->config, "a Hugging Face config.json: model_type and dimensions")->required();
  command->add_option("--out", options->out, "folder of the checkpoint; replaced if it exists")->required();
  command->add_option("--seed", options->seed, "equal seeds give equal bytes")->capture_default_str();
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer("Example:\n  elastify random configs/random-1b.json --out /tmp/random-1b --seed 3");
  command->callback([options] {
    elastify::ImportNotes notes;
    const auto config = elastify::model_config_from_hf(elastify::read_json(options->config), options->config, &notes);
    for (const auto& note : notes) elastify::warn_once(note);
    elastify::write_random_checkpoint(config, options->seed, options->out);
    const std::int64_t weights = config.weights_outside_blocks() + config.num_layers * config.weights_per_block();
    if (options->json)
      print_json({{"checkpoint", options->out}, {"weights", weights}, {"seed", options->seed}});
    else
      std::cout << options->out << ": " << weights << " weights\n";
  });
}

}  // namespace elastify_cli
