// Subcommands of elastify-suite. Each registers itself and runs from its callback; results go to stdout.
#pragma once

#include "program.h"

namespace elastify_cli {

void register_tasks(CLI::App& app);
void register_train_tokenizer(CLI::App& app);
void register_pretrain(CLI::App& app);

}  // namespace elastify_cli
