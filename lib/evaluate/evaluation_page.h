// An evaluation for people.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "base/files.h"

namespace elastify {

// `evaluation` of run_evaluation(). Draws its charts next to it, then evaluation.html, which holds all of them.
void write_evaluation_page(const nlohmann::json& evaluation, const fs::path& run_dir);

// The tables that fit a terminal.
std::string format_evaluation(const nlohmann::json& evaluation);

}  // namespace elastify
