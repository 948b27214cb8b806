// elastify report: one table of everything measured in a run directory.
#include <iostream>
#include <memory>

#include "commands.h"
#include "pipeline/report.h"

namespace elastify_cli {

void register_report(CLI::App& app) {
  struct Options {
    std::string run_dir;
    bool json = false;
  };
  CLI::App* command =
      app.add_subcommand("report", "one table of everything measured in a run directory -> quality.svg");
  auto options = std::make_shared<Options>();
  command
      ->add_option("--run-dir", options->run_dir,
                   "run directory of a build; bench.json or a latency table in it adds speeds and quality.svg, loss "
                   "against latency")
      ->required();
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer(
      "Example:\n  elastic-run bench runs/mine/model.gguf --json > runs/mine/bench.json\n  elastify report --run-dir "
      "runs/mine");
  command->callback([options] {
    const nlohmann::json report = elastify::make_report(options->run_dir);
    elastify::draw_report(options->run_dir, report);
    if (options->json)
      print_json(report);
    else
      std::cout << elastify::format_report(report);
  });
}

}  // namespace elastify_cli
