// What every program of the toolchain shares: options, results on stdout, errors on stderr, exit status.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

#include <nlohmann/json.hpp>

#include "common/option_checks.hpp"

namespace elastify_cli {

// One JSON object on stdout; invalid UTF-8 is replaced, NaN becomes null.
void print_json(const nlohmann::json& object);

// common::run_program with --log, and LibTorch's errors in our words.
int run_program(const char* name, const char* about, const std::function<void(CLI::App&)>& register_commands, int argc,
                char** argv);

}  // namespace elastify_cli
