// elastify-suite: tasks with checkable answers, a tokenizer and a small model to try elastify on.
#include "suite_commands.h"

namespace {

constexpr char kExamples[] = R"(Examples:
  elastify-suite tasks --out runs/tasks
  elastify-suite train-tokenizer --text stories.txt --vocab-size 4096 --out runs/tokenizer
  elastify-suite pretrain configs/pretrain-cpu.json --out runs/base

Exit status: 0 success, 1 internal error, 2 usage or configuration, 3 bad data.)";

void register_all(CLI::App& app) {
  app.footer(kExamples);
  elastify_cli::register_tasks(app);
  elastify_cli::register_train_tokenizer(app);
  elastify_cli::register_pretrain(app);
}

}  // namespace

int main(int argc, char** argv) {
  return elastify_cli::run_program(
      "elastify-suite", "Makes what elastify can be tried on: a task suite, a tokenizer, a small language model.",
      register_all, argc, argv);
}
