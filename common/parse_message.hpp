// What is wrong with a command line, in our words.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace common {

// One line: what is wrong, what is expected, where to look it up.
std::string parse_message(const CLI::App& app, const CLI::ParseError& error);

// Names of the commands that help shows, separated by commas.
std::string command_names(const CLI::App& app);

// The first argument that is no option, where it names no command ("" where all is well): CLI11 prints the help of the
// program for `program nonsense --help` and calls it a success.
std::string unknown_command(const CLI::App& app, const std::vector<std::string>& arguments);

// A list such as --levels 20,,50 with an empty place, which CLI11 passes over; "" where there is none.
std::string empty_item(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace common
