// The frame around main(): options that every program has, results on stdout, one line on stderr for what failed, exit
// status 0 for success, 1 for an internal error (a result that cannot be written too), 2 for usage or configuration, 3
// for bad data.
#pragma once

#include <CLI/CLI.hpp>

#include <exception>
#include <functional>

#include "common/error.hpp"

namespace common {

inline constexpr char kOutOfMemory[] = "out of memory: free some, or ask for less";

// What an exception of a library means, in our words, which need no memory; null for an exception that it does not
// know.
using Describe = const char* (*)(const std::exception& error);

// Lets `register_commands` add its commands and footer, adds --version and --bash-completion (alone, for the build:
// prints the script), parses the arguments strictly, runs the command that they name and reports what failed in one
// line, also where no memory is left or a library lets no exception pass. Returns the exit status.
int run_program(const char* name, const char* about, const std::function<void(CLI::App&)>& register_commands, int argc,
                char** argv, Describe describe = nullptr);

// Throws Error(kInternal) where what was printed so far did not arrive: a full disk, a closed pipe. For commands that
// print while they work.
void check_output();

}  // namespace common
