// elastify build and one subcommand per stage: the same configuration, the same run directory.
#include <iostream>
#include <memory>

#include "commands.h"
#include "pipeline/pipeline.h"
#include "pipeline/report.h"

namespace elastify_cli {
namespace {

struct Options {
  std::string config, run_dir;
  std::vector<std::string> overrides;
  std::string dtype;  // pack alone
  bool json = false;
};

std::shared_ptr<Options> add_options(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command.add_option("CONFIG", options->config, "pipeline settings, a JSON file")->required();
  command.add_option("--run-dir", options->run_dir, "folder in which stages meet; made where needed")->required();
  command.add_option("--set", options->overrides, "KEY=VALUE over the file, e.g. --set finetune.steps=100; may be repeated")
      ->allow_extra_args(false);
  command.add_flag("--json", options->json, "print the result as one JSON object");
  return options;
}

void register_stage(CLI::App& app, const std::string& stage, const std::string& help) {
  CLI::App* command = app.add_subcommand(stage, help);
  auto options = add_options(*command);
  command->footer("Example:\n  elastify " + stage + " configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint");
  if (stage == "pack") command->add_option("--dtype", options->dtype, "of the blocks' matrices: f32, f16, q8_0 or q4_0; short for --set pack.dtype=");
  command->callback([options, stage] {
    if (!options->dtype.empty()) options->overrides.push_back("pack.dtype=" + options->dtype);
    elastify::Pipeline pipeline(elastify::load_pipeline_config(options->config, options->overrides), options->run_dir);
    const nlohmann::json summary = pipeline.run(stage);
    if (options->json) print_json(summary);
    else std::cout << stage << (summary.value("up_to_date", false) ? ": up to date\n" : ": done\n");
  });
}

}  // namespace

void register_stages(CLI::App& app) {
  CLI::App* build = app.add_subcommand("build", "run every stage that is not up to date; one artifact comes out");
  auto options = add_options(*build);
  build->footer("Example:\n  elastify build configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint");
  build->callback([options] {
    elastify::Pipeline pipeline(elastify::load_pipeline_config(options->config, options->overrides), options->run_dir);
    const nlohmann::json summary = pipeline.build();
    if (options->json) print_json(summary);
    else std::cout << elastify::format_report(elastify::make_report(options->run_dir));
  });
  register_stage(app, "sample", "draw text from the model itself, where no recovery text is given");
  register_stage(app, "profile", "importance of every KV group and MLP neuron -> profile.h5");
  register_stage(app, "anchors", "loss with each layer removed -> anchors.json");
  register_stage(app, "reorder", "sort units by importance, plan the levels -> reordered/, plan.json");
  register_stage(app, "finetune", "recover every level with an adapter -> adapters/, finetune.json");
  register_stage(app, "pack", "one file with all levels -> model.gguf");
}

}  // namespace elastify_cli
