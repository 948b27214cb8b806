// elastify baselines: other known ways to a level's size, from the same checkpoint, data, tokens and recovery.
#include <iostream>
#include <memory>

#include "baselines/comparison.h"
#include "baselines/correlation.h"
#include "baselines/harness.h"
#include "baselines/method.h"
#include "commands.h"

namespace elastify_cli {
namespace {

struct BaselinesOptions {
  std::string config, run_dir;
  std::vector<std::string> overrides;
  elastify::BaselinesRequest request;
  bool correlation = false, json = false;
};

constexpr char kFooter[] =
    R"(Results are kept under DIR/baselines, one file for each method, level and piece: a run that was stopped goes on, and
asking for more methods, levels or tasks computes only those. baselines.json holds everything, baselines.svg the curves.

Examples:
  elastify baselines configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint \
    --text wikitext=wiki.txt --text alpaca=alpaca.jsonl --levels 70,50 --tokens 262144 --tasks arc_easy.jsonl
  elastify baselines configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint \
    --methods ours,flap,shortgpt --before-only
  elastify baselines configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint --correlation

Methods:
)";

std::string footer() {
  std::string text = kFooter;
  for (const elastify::Method& method : elastify::method_table())
    text += fmt::format("  {:<14} {}\n", method.name, method.help);
  text.pop_back();
  return text;
}

void add_options(CLI::App& command, BaselinesOptions& options) {
  elastify::BaselinesRequest& request = options.request;
  command.add_option("CONFIG", options.config, "pipeline settings, a JSON file")->required();
  command.add_option("--run-dir", options.run_dir, "folder in which stages meet; made where needed")->required();
  command.add_option("--methods", request.methods, "e.g. ours,flap,shortgpt; all by default")->delimiter(',');
  command.add_option("--levels", request.levels, "e.g. 70,50, in the order in which they are run; all by default")
      ->delimiter(',')
      ->check(common::in_range(1, 99));
  command
      .add_option(
          "--text", request.texts,
          "NAME=FILE, text that losses are measured on and nothing learns from; may be repeated; the settings'\n"
          "held-out text by default")
      ->allow_extra_args(false);
  command.add_option("--text-tokens", request.text_tokens, "of each text, at most")
      ->check(common::at_least(2))
      ->capture_default_str();
  command.add_option("--tokens", request.tokens, "of training, for each method and level; 0: as finetune.* says")
      ->check(common::at_least(0))
      ->capture_default_str();
  command.add_option("--tasks", request.tasks, "multiple-choice tasks, as elastify eval reads them; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--limit", request.limit, "tasks: the first so many of each family; 0: all")
      ->check(common::at_least(0))
      ->capture_default_str();
  command.add_option("--prompt-tokens", request.prompt_tokens, "of the prompt whose time is measured")
      ->check(common::in_range(2, 1 << 20))
      ->capture_default_str();
  command.add_option("--repeats", request.repeats, "measurements of a time, of which the median counts")
      ->check(common::in_range(1, 1000))
      ->capture_default_str();
  command
      .add_option("--scratch-rate", request.scratch_rate,
                  "learning rate of models trained from nothing; 0: by their width")
      ->capture_default_str();
  command.add_flag("--before-only", request.before_only, "losses as cut and latency; no recovery, no tasks");
  command.add_flag("--correlation", options.correlation,
                   "instead: rank correlation of fisher, taylor, FLAP's and magnitude scores with exact ablation");
  command.add_option("--set", options.overrides, "KEY=VALUE over the file; may be repeated")->allow_extra_args(false);
  command.add_flag("--json", options.json, "print the result as one JSON object");
}

void run(const BaselinesOptions& options) {
  const auto config = elastify::load_pipeline_config(options.config, options.overrides);
  const nlohmann::json result = options.correlation ? elastify::run_correlation(config, options.run_dir)
                                                    : elastify::run_baselines(config, options.run_dir, options.request);
  if (options.json)
    print_json(result);
  else
    std::cout << (options.correlation ? elastify::format_correlation(result) : elastify::format_baselines(result));
}

}  // namespace

void register_baselines(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("baselines", "our levels next to other known ways to the same size, equally trained");
  auto options = std::make_shared<BaselinesOptions>();
  add_options(*command, *options);
  command->footer(footer());
  command->callback([options] { run(*options); });
}

}  // namespace elastify_cli
