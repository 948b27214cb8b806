// elastify evaluate: the published system's evaluation on a run of one's own.
#include <iostream>
#include <memory>

#include "commands.h"
#include "evaluate/evaluation.h"
#include "evaluate/evaluation_page.h"

namespace elastify_cli {
namespace {

constexpr char kFooter[] =
    R"(What is not up to date is built first. Objectives are TTFT 0.2 to 1.0 and TPOT 0.5 to 1.0 of the full model's times,
and every policy and every other method is judged by one clock: the run's latency table. Traces mix six apps with an
objective each; alpha skews them towards strict (above 0) or patient ones; with a load, requests wait for each other.
Leaves evaluation.json, evaluation.html (stands alone) and charts in DIR.

Examples:
  elastify evaluate configs/demo.json --run-dir runs/demo
  elastify evaluate configs/demo.json --run-dir runs/demo --methods ours,flap,shortgpt --load 0.7
  elastify evaluate configs/demo.json --run-dir runs/demo --ablations no_adapters,weights_q4_0)";

}  // namespace

void register_evaluate(CLI::App& app) {
  struct Options {
    elastify::EvaluationRequest request;
    bool json = false;
  };
  CLI::App* command = app.add_subcommand(
      "evaluate", "every policy and method under every objective and on traces -> evaluation.json, evaluation.html");
  auto options = std::make_shared<Options>();
  elastify::EvaluationRequest& request = options->request;
  command->add_option("CONFIG", request.config, "pipeline settings, a JSON file")->required();
  command->add_option("--run-dir", request.run_dir, "folder in which stages meet; made where needed")->required();
  command
      ->add_option("--methods", request.methods,
                   "of elastify baselines, run on the test tasks where they have not been, e.g. ours,flap, or all;\n"
                   "by default those that have been")
      ->delimiter(',');
  command->add_option("--levels", request.levels, "of the methods; all by default")
      ->delimiter(',')
      ->check(common::in_range(1, 99));
  command->add_option("--tokens", request.tokens, "of training, for each method and level; 0: as finetune.* says")
      ->check(common::at_least(0))
      ->capture_default_str();
  command
      ->add_option("--ablations", request.ablations,
                   "builds without a part, under DIR/evaluate: no_reordering, no_adapters, no_score_head, small_tlm,\n"
                   "steps_of_5, weights_TYPE, or all; by default only those that need no build")
      ->delimiter(',');
  command->add_option("--requests", request.traces.requests, "of each trace")
      ->check(common::in_range(1, 1'000'000))
      ->capture_default_str();
  command
      ->add_option("--load", request.traces.load,
                   "of the full model where requests wait for each other: time of an answer over time between requests")
      ->check(common::in_range(0.01, 10))
      ->capture_default_str();
  command->add_option("--seed", request.traces.seed, "of the traces")->capture_default_str();
  command->add_option("--set", request.overrides, "KEY=VALUE over the file; may be repeated")->allow_extra_args(false);
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer(kFooter);
  command->callback([options] {
    const nlohmann::json result = elastify::run_evaluation(options->request);
    if (options->json)
      print_json(result);
    else
      std::cout << elastify::format_evaluation(result);
  });
}

}  // namespace elastify_cli
