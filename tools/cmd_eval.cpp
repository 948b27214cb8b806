// elastify eval: an artifact's levels on text, or on multiple-choice tasks.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "commands.h"
#include "eval/context_mode.h"
#include "eval/task_accuracy.h"
#include "eval/text_loss.h"

namespace elastify_cli {
namespace {

struct EvalOptions {
  elastify::TextLossRequest text;
  elastify::TaskAccuracyRequest tasks;
  std::string file, plot;
  std::vector<std::int64_t> levels;
  std::int64_t threads = 0;
  bool json = false;
};

void measure_text(EvalOptions& options) {
  options.text.artifact = options.file;
  options.text.levels = options.levels;
  options.text.threads = options.threads;
  const nlohmann::json result = elastify::measure_text_loss(options.text);
  if (options.json)
    print_json(result);
  else
    std::cout << elastify::format_text_loss(result);
}

// Before minutes of measuring, not after them.
void check_plot(const elastify::fs::path& svg) {
  if (elastify::fs::is_directory(svg)) elastify::fail_usage("--plot {} is a folder: name an SVG file", svg.string());
  const auto folder = svg.has_parent_path() ? svg.parent_path() : elastify::fs::path(".");
  if (::access(folder.c_str(), W_OK) != 0)
    elastify::fail_usage("--plot {} cannot be written: {}", svg.string(), std::strerror(errno));
}

void measure_tasks(EvalOptions& options) {
  options.tasks.artifact = options.file;
  options.tasks.levels = options.levels;
  options.tasks.threads = options.threads;
  options.tasks.generate = options.tasks.generate || options.tasks.show > 0;
  if (!options.plot.empty()) check_plot(options.plot);
  const nlohmann::json result = elastify::measure_task_accuracy(options.tasks);
  if (!options.plot.empty()) elastify::draw_task_accuracy(options.plot, result);
  if (options.json)
    print_json(result);
  else
    std::cout << elastify::format_task_accuracy(result);
}

}  // namespace

void register_eval(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "eval", "every level's next-token loss on text or accuracy on tasks, with and without adapters");
  auto options = std::make_shared<EvalOptions>();
  command->add_option("FILE", options->file, "an artifact, model.gguf")->required();
  CLI::Option* text = command
                          ->add_option("--text", options->text.texts,
                                       "text that no stage has read: .txt, .jsonl or .json; may be repeated")
                          ->allow_extra_args(false);
  CLI::Option* tasks =
      command
          ->add_option("--tasks", options->tasks.tasks,
                       "multiple-choice tasks: JSONL of one's own, or a public set's file; may be repeated")
          ->allow_extra_args(false)
          ->excludes(text);
  command->add_option("--levels", options->levels, "e.g. 20,50,100; all by default")
      ->delimiter(',')
      ->check(common::in_range(1, 100));
  command->add_option("--limit-tokens", options->text.max_tokens, "text: stop after so many predictions; 0: all")
      ->needs(text)
      ->check(common::at_least(0))
      ->capture_default_str();
  command->add_option("--limit", options->tasks.limit, "tasks: the first so many of each family; 0: all")
      ->needs(tasks)
      ->check(common::at_least(0))
      ->capture_default_str();
  command
      ->add_option("--few-shot", options->tasks.few_shot,
                   "tasks: solved examples of the same family before each question")
      ->needs(tasks)
      ->check(common::at_least(0))
      ->capture_default_str();
  command
      ->add_flag("--generate", options->tasks.generate,
                 "tasks: also let the model write the answer, and count exact matches")
      ->needs(tasks);
  command
      ->add_option("--show", options->tasks.show,
                   "tasks: print so many of each family with what every level writes (implies --generate)")
      ->needs(tasks)
      ->check(common::at_least(0))
      ->capture_default_str();
  command->add_option("--plot", options->plot, "tasks: mean accuracy by level as a chart, an SVG file")->needs(tasks);
  command
      ->add_option("--context", options->tasks.context,
                   "tasks: a control: none (question alone), shuffled (another item's), half (of its words)")
      ->needs(tasks)
      ->check(common::one_of({elastify::kContextModes.begin(), elastify::kContextModes.end()}))
      ->capture_default_str();
  command
      ->add_flag_callback(
          "--no-plain", [options] { options->tasks.plain = false; },
          "tasks: levels with their adapters alone, in half the time")
      ->needs(tasks);
  command->add_option("--seed", options->tasks.seed, "tasks: of the examples and the controls")
      ->needs(tasks)
      ->check(common::at_least(0))
      ->capture_default_str();
  command->add_option("--threads", options->threads, "0: all cores; changes no result")
      ->check(common::in_range(0, 1024))
      ->capture_default_str();
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer(
      "Examples:\n  elastify eval runs/mine/model.gguf --text stories.txt --limit-tokens 20000\n"
      "  elastify eval runs/mine/model.gguf --tasks test.jsonl --levels 20,50,100 --limit 200 --generate\n"
      "  elastify eval runs/mine/model.gguf --tasks test.jsonl --limit 200 --show 1 --plot accuracy.svg");
  command->callback([options] {
    if (!options->tasks.tasks.empty())
      measure_tasks(*options);
    else if (!options->text.texts.empty())
      measure_text(*options);
    else
      elastify::fail_usage("eval has nothing to measure on: give --text or --tasks");
  });
}

}  // namespace elastify_cli
