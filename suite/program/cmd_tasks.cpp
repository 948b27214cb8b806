// elastify-suite tasks: the task suite as JSONL, checked item by item.
#include <iostream>
#include <memory>

#include "base/error.h"
#include "suite_commands.h"
#include "tasks/suite.h"

namespace elastify_cli {
namespace {

struct TasksOptions {
  elastify::SuiteRequest request;
  std::string bank = "datasets/tasks", out, split = "train";
  std::vector<std::string> families;
  std::int64_t show = 0;
  bool check = false, json = false;
};

// Everything that is wrong or weak, for whoever writes a bank.
void check_bank_files(const std::string& directory) {
  elastify::BankReport report;
  const elastify::TaskBank bank = elastify::read_task_bank(directory, report);
  for (const auto& warning : report.warnings) std::cout << "warning: " << warning << "\n";
  for (const auto& problem : report.problems) std::cout << "problem: " << problem << "\n";
  std::cout << fmt::format("{}: {} families, {} types, {} problems, {} warnings\n", directory, bank.families.size(),
                           bank.pools.size(), report.problems.size(), report.warnings.size());
  if (!report.problems.empty()) elastify::fail_data("the task bank {} has problems: see above", directory);
}

void show_items(const TasksOptions& options) {
  const elastify::TaskGenerator generator(elastify::load_task_bank(options.bank));
  for (const elastify::Split split : elastify::kSplits) {
    if (options.split != elastify::split_name(split)) continue;
    std::cout << elastify::show_tasks(generator, options.families, split, options.request.seed, options.show);
  }
}

void run(TasksOptions& options) {
  options.request.bank = options.bank;
  options.request.out = options.out;
  if (options.check) return check_bank_files(options.bank);
  if (options.show > 0) return show_items(options);
  if (options.out.empty()) elastify::fail_usage("tasks: --out DIR is missing; --check and --show N need none");
  const nlohmann::json result = elastify::make_suite(options.request);
  if (options.json)
    print_json(result);
  else
    std::cout << elastify::format_suite(result);
}

constexpr char kExamples[] = R"(Examples:
  elastify-suite tasks --out runs/tasks                        train.jsonl, validation.jsonl and test.jsonl
  elastify-suite tasks --out runs/tasks --recovery 1000        and recovery.jsonl: every context is read once for 5 answers
  elastify-suite tasks --show 1 --family recorder --split test what a reader sees, the right option marked
  elastify-suite tasks --check --bank my/tasks                 every problem and warning of a bank of your own

One line of test.jsonl, shortened:
  {"id": "recorder-test-000017", "family": "recorder", "slo": [1.0, 1.0], "context": "Notes from ...",
   "question": "Who brings the cake?", "options": ["Leo", "Maya", "Noor", "Tom"], "answer": 1, ...}
The rest of a line (hops, relevant, facts, query, ...) is for evaluation and for the checker, never for a model.

Columns: chance is that of a fair draw; overlap, mentions, fewest, lookup and pairs are what readers without grammar score: all the
option's words in the context, most mentions, fewest mentions, words in the sentence most like the question, values in one sentence.)";

}  // namespace

void register_tasks(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tasks", "write the task suite: train, validation and test items as JSONL");
  auto options = std::make_shared<TasksOptions>();
  auto& items = options->request.items;
  command->add_option("--out", options->out, "folder for train.jsonl, validation.jsonl and test.jsonl");
  command->add_option("--bank", options->bank, "folder with pools/*.json and one file per family")
      ->capture_default_str();
  command->add_option("--seed", options->request.seed, "equal seeds give equal files")->capture_default_str();
  command->add_option("--train", items[elastify::Split::kTrain], "items per family")
      ->capture_default_str()
      ->check(common::in_range(0, 1e8));
  command->add_option("--validation", items[elastify::Split::kValidation], "items per family")
      ->capture_default_str()
      ->check(common::in_range(0, 1e8));
  command->add_option("--test", items[elastify::Split::kTest], "items per family")
      ->capture_default_str()
      ->check(common::in_range(0, 1e8));
  command->add_option("--questions", options->request.questions, "at most, over one context of the training split")
      ->capture_default_str()
      ->check(common::in_range(1, 64));
  auto& recovery = options->request.recovery;
  command
      ->add_option("--recovery", recovery.items,
                   "items per family of recovery.jsonl: training contexts with invented names and noise in the wording")
      ->capture_default_str()
      ->check(common::in_range(0, 1e8));
  command->add_option("--recovery-questions", recovery.questions, "at most, over one context of recovery.jsonl")
      ->capture_default_str()
      ->check(common::in_range(1, 64));
  command
      ->add_option("--rename-share", recovery.rename_share,
                   "of the named values in recovery.jsonl, how many get invented names")
      ->capture_default_str()
      ->check(common::in_range(0, 1));
  command
      ->add_option("--word-noise", recovery.word_noise,
                   "of the words in recovery.jsonl that no fact needs, how many go or are replaced, at most")
      ->capture_default_str()
      ->check(common::in_range(0, 1));
  command->add_flag("--json", options->json, "print the table as one JSON object");
  command->add_flag("--check", options->check, "only read the bank; print every problem and warning");
  command->add_option("--show", options->show, "only print so many items per family")->check(common::in_range(0, 1e5));
  command->add_option("--family", options->families, "of --show; all by default")->delimiter(',');
  command->add_option("--split", options->split, "of --show")
      ->capture_default_str()
      ->check(common::one_of({"train", "validation", "test"}));
  command->footer(kExamples);
  command->callback([options] { run(*options); });
}

}  // namespace elastify_cli
