// What every program of the toolchain shares: options, results on stdout, errors on stderr, exit status.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

#include <nlohmann/json.hpp>

namespace elastify_cli {

// One JSON object on stdout; invalid UTF-8 is replaced, NaN becomes null.
void print_json(const nlohmann::json& object);

// Lets `register_commands` add its commands and footer, adds --log, parses the arguments, runs the command that they
// name and reports what failed in one line. The exit status is 0 for success, 1 for an internal error, 2 for usage or
// configuration, 3 for bad data.
int run_program(const char* name, const char* about, const std::function<void(CLI::App&)>& register_commands, int argc,
                char** argv);

}  // namespace elastify_cli
