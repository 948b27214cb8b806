// Subcommands of elastify. Each registers itself and runs from its callback; results go to stdout.
#pragma once

#include <CLI/CLI.hpp>

#include <nlohmann/json.hpp>

namespace elastify_cli {

void register_stages(CLI::App& app);  // build, and a command per stage
void register_random(CLI::App& app);
void register_inspect(CLI::App& app);
void register_eval(CLI::App& app);
void register_report(CLI::App& app);
void register_tasks(CLI::App& app);
void register_train_tokenizer(CLI::App& app);
void register_pretrain(CLI::App& app);

// One JSON object on stdout; invalid UTF-8 is replaced, NaN becomes null.
void print_json(const nlohmann::json& object);

}  // namespace elastify_cli
