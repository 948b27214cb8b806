// elastify tasks: the task suite as JSONL, checked item by item.
#include <iostream>
#include <memory>

#include "base/error.h"
#include "commands.h"
#include "tasks/bank.h"

namespace elastify_cli {
namespace {

// Everything that is wrong or weak, for whoever writes a bank.
void check_bank_files(const std::string& directory) {
  elastify::BankReport report;
  const elastify::TaskBank bank = elastify::read_task_bank(directory, report);
  for (const auto& warning : report.warnings) std::cout << "warning: " << warning << "\n";
  for (const auto& problem : report.problems) std::cout << "problem: " << problem << "\n";
  std::cout << fmt::format("{}: {} families, {} types, {} problems, {} warnings\n", directory, bank.families.size(), bank.pools.size(),
                           report.problems.size(), report.warnings.size());
  if (!report.problems.empty()) elastify::fail_data("the task bank {} has problems: see above", directory);
}

}  // namespace

void register_tasks(CLI::App& app) {
  struct Options {
    std::string bank = "datasets/tasks";
    bool check = false;
  };
  CLI::App* command = app.add_subcommand("tasks", "write the task suite: train, validation and test items as JSONL");
  auto options = std::make_shared<Options>();
  command->add_option("--bank", options->bank, "folder with pools/*.json and one file per family")->capture_default_str();
  command->add_flag("--check", options->check, "only read the bank; print every problem and warning");
  command->callback([options] { check_bank_files(options->bank); });
}

}  // namespace elastify_cli
