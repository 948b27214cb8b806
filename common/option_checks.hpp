// Checks of options on the command line, with messages that say what is expected and what was found.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace common {

// A number of [low, high].
CLI::Validator in_range(double low, double high);
CLI::Validator at_least(double low);
// One of these words.
CLI::Validator one_of(std::vector<std::string> words);

// Gives every option of `app` and of its subcommands that takes a number the strict parser of common/number.hpp, in
// place of CLI11's, which reads 010 as 8 and -1 as 2^64 - 1. run_program does it for all.
void read_numbers_strictly(CLI::App& app);

}  // namespace common
