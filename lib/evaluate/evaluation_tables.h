// An evaluation as tables, for the terminal and the page alike.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace elastify {

struct TextTable {
  std::string caption;
  std::vector<std::string> columns;  // the first names the rows
  std::vector<std::vector<std::string>> rows;
};

TextTable objective_table(const nlohmann::json& evaluation);  // policies and methods: mean, met, by family
TextTable trace_table(const nlohmann::json& evaluation);      // the same under every trace
TextTable app_table(const nlohmann::json& evaluation);        // evenly mixed trace, nobody waiting: by app
TextTable ablation_table(const nlohmann::json& evaluation);
TextTable stage_table_of(const nlohmann::json& evaluation);  // cost of stages
TextTable carrying_table(const nlohmann::json& evaluation);  // levels: bytes and switching

// One line for each goal: how far ahead of the other methods and of the simpler policies.
std::vector<std::string> goal_lines(const nlohmann::json& evaluation);

// Columns padded, the first to the left, the others to the right.
std::string format_table(const TextTable& table);

}  // namespace elastify
