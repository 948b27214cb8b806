// Subcommands of elastify. Each registers itself and runs from its callback; results go to stdout.
#pragma once

#include "program.h"

namespace elastify_cli {

void register_stages(CLI::App& app);  // build, and a command per stage
void register_config(CLI::App& app);
void register_random(CLI::App& app);
void register_inspect(CLI::App& app);
void register_eval(CLI::App& app);
void register_export(CLI::App& app);
void register_report(CLI::App& app);
void register_baselines(CLI::App& app);
void register_evaluate(CLI::App& app);

}  // namespace elastify_cli
