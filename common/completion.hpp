// Completion of a program's commands and options in bash.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace common {

// A script for share/bash-completion/completions: commands first, then the options of the command that was named; file
// names elsewhere. Commands and options that help does not show are left out.
std::string bash_completion(const CLI::App& app);

}  // namespace common
