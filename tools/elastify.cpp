// elastify: turns one language model into an elastic one.
#include "base/error.h"
#include "commands.h"

namespace {

constexpr char kExamples[] = R"(Examples:
  elastify build configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint
  elastify profile configs/default.json --run-dir runs/mine --set checkpoint=path/to/checkpoint --json
  elastify inspect runs/mine/model.gguf --verify
  elastify eval runs/mine/model.gguf --text stories.txt
  elastify eval runs/mine/model.gguf --tasks test.jsonl --levels 20,50,100
  elastify export runs/mine --level 50 --format gguf --out level50.gguf
  elastify random path/to/config.json --out /tmp/model --seed 3
  elastify report --run-dir runs/mine

Exit status: 0 success, 1 internal error, 2 usage or configuration, 3 bad data or artifact.)";

// Commands that are elastify-suite's now: who knew them here is told.
void register_moved(CLI::App& app) {
  for (const char* name : {"tasks", "pretrain", "train-tokenizer"}) {
    CLI::App* command = app.add_subcommand(name, "")->group("");
    command->prefix_command()->set_help_flag();
    command->callback(
        [name] { elastify::fail_usage("{0} is a command of another program now: elastify-suite {0}", name); });
  }
}

void register_all(CLI::App& app) {
  app.footer(kExamples);
  elastify_cli::register_stages(app);
  elastify_cli::register_config(app);
  elastify_cli::register_random(app);
  elastify_cli::register_inspect(app);
  elastify_cli::register_eval(app);
  elastify_cli::register_export(app);
  elastify_cli::register_report(app);
  elastify_cli::register_baselines(app);
  elastify_cli::register_evaluate(app);
  register_moved(app);
}

}  // namespace

int main(int argc, char** argv) {
  return elastify_cli::run_program(
      "elastify", "Turns one Llama-family checkpoint into one file that holds a model for every latency.", register_all,
      argc, argv);
}
