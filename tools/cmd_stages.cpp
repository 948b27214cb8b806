// elastify build and one subcommand per stage: the same configuration, the same run directory.
#include <iostream>
#include <memory>

#include "commands.h"
#include "pipeline/bench_stages.h"
#include "pipeline/pipeline.h"
#include "pipeline/report.h"
#include "pipeline/stage_table.h"
#include "pipeline/stages.h"

namespace elastify_cli {
namespace {

struct StageOptions {
  std::string config, run_dir;
  std::vector<std::string> overrides;
  std::string dtype;       // pack alone
  std::string base_dtype;  // finetune alone
  bool json = false;
};

std::shared_ptr<StageOptions> add_options(CLI::App& command) {
  auto options = std::make_shared<StageOptions>();
  command.add_option("CONFIG", options->config, "pipeline settings, a JSON file")->required();
  command.add_option("--run-dir", options->run_dir, "folder in which stages meet; made where needed")->required();
  command
      .add_option("--set", options->overrides,
                  "KEY=VALUE over the file, e.g. --set finetune.steps=100; may be repeated")
      ->allow_extra_args(false);
  command.add_flag("--json", options->json, "print the result as one JSON object");
  return options;
}

void register_stage(CLI::App& app, const elastify::Stage& entry) {
  const std::string stage = entry.name;
  CLI::App* command = app.add_subcommand(stage, entry.help);
  auto options = add_options(*command);
  command->footer("Example:\n  elastify " + stage +
                  " configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint");
  if (stage == "pack")
    command->add_option("--dtype", options->dtype,
                        "of the blocks' matrices: f32, f16, bf16, q8_0, iq4_nl or q4_0; short for --set pack.dtype=");
  if (stage == "finetune") {
    command->add_option(
        "--base-dtype", options->base_dtype,
        "train on matrices rounded as an artifact of this type has them: f32, f16, bf16, q8_0, iq4_nl or q4_0; short\n"
        "for --set finetune.base_dtype=, to be followed by pack with the same --dtype");
  }
  command->callback([options, stage, describe = entry.describe] {
    if (!options->base_dtype.empty()) options->overrides.push_back("finetune.base_dtype=" + options->base_dtype);
    if (!options->dtype.empty()) options->overrides.push_back("pack.dtype=" + options->dtype);
    elastify::Pipeline pipeline(elastify::load_pipeline_config(options->config, options->overrides), options->run_dir,
                                stage);
    const nlohmann::json summary = pipeline.run();
    if (options->json)
      print_json(summary);
    else
      std::cout << stage << (summary.value("up_to_date", false) ? ": up to date\n" : ": done\n") << describe(summary);
  });
}

// Hidden: what scripts/figures asks.
void register_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand("bench-stages", "what stages cost next to plain training, as JSON")->group("");
  auto options = std::make_shared<StageOptions>();
  command->add_option("CONFIG", options->config, "pipeline settings, a JSON file")->required();
  command->add_option("--set", options->overrides, "KEY=VALUE over the file")->allow_extra_args(false);
  command->callback([options] {
    print_json(elastify::bench_stages(elastify::load_pipeline_config(options->config, options->overrides)));
  });
}

void register_label_helper(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("help-label", "work on the label stage that another process runs on this run directory");
  auto options = std::make_shared<StageOptions>();
  auto threads = std::make_shared<std::int64_t>(0);
  command->add_option("--run-dir", options->run_dir, "folder of the other process, on a file system that both see")
      ->required();
  command->add_option("--threads", *threads, "0: all cores; changes no result")
      ->check(common::in_range(0, 1024))
      ->capture_default_str();
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer(
      "Example, while another process builds there:\n  elastify help-label --run-dir runs/mine --threads 4");
  command->callback([options, threads] {
    const nlohmann::json summary = elastify::help_label(options->run_dir, *threads);
    if (options->json)
      print_json(summary);
    else
      std::cout << "help-label: nothing is left to do\n";
  });
}

}  // namespace

void register_stages(CLI::App& app) {
  CLI::App* build = app.add_subcommand("build", "run every stage that is not up to date; one artifact comes out");
  auto options = add_options(*build);
  build->footer(
      "Example:\n  elastify build configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint");
  build->callback([options] {
    elastify::Pipeline pipeline(elastify::load_pipeline_config(options->config, options->overrides), options->run_dir);
    const nlohmann::json summary = pipeline.build();
    if (options->json)
      print_json(summary);
    else
      std::cout << elastify::format_report(elastify::make_report(options->run_dir));
  });
  for (const elastify::Stage& stage : elastify::stage_table()) register_stage(app, stage);
  register_label_helper(app);
  register_bench(app);
}

}  // namespace elastify_cli
