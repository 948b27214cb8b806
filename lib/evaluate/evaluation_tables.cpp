#include "evaluate/evaluation_tables.h"

#include <algorithm>

#include "base/log.h"
#include "evaluate/trace.h"
#include "label/policies.h"

namespace elastify {
namespace {

using nlohmann::json;

std::string percent(const json& share) {
  return share.is_number() ? fmt::format("{:.1f}", 100 * share.get<double>()) : std::string("-");
}

std::string number_or_dash(const json& value, const char* format) {
  return value.is_number() ? fmt::format(fmt::runtime(format), value.get<double>()) : std::string("-");
}

std::string server_name(const std::string& name) {
  constexpr std::string_view kMethod = "method ";
  return name.rfind(kMethod, 0) == 0 ? name.substr(kMethod.size()) : policy_name(name);
}

// Policies in their order, then methods.
std::vector<std::string> server_names(const json& servers) {
  std::vector<std::string> names = kPolicies;
  for (const auto& server : servers.items()) {
    if (std::find(kPolicies.begin(), kPolicies.end(), server.key()) == kPolicies.end()) names.push_back(server.key());
  }
  return names;
}

std::string trace_name(const json& trace) {
  return fmt::format("alpha {:g}{}", trace.at("alpha").get<double>(),
                     trace.at("queue").get<bool>() ? fmt::format(", load {:g}", trace.at("load").get<double>()) : "");
}

std::string gain_line(const std::string& others, const json& gain) {
  return fmt::format("against {}: {:+.1f} points on average, ahead at {:.0f} % of the objectives", others,
                     100 * gain.at("mean_gain").get<double>(), 100 * gain.at("cells_ahead").get<double>());
}

}  // namespace

TextTable objective_table(const json& evaluation) {
  const json& objectives = evaluation.at("objectives");
  TextTable table{fmt::format("Right answers within the objective, percent, mean over {} objectives; {} tasks",
                              objectives.at("lattice").size(), objectives.at("tasks").get<std::int64_t>()),
                  {"who chooses", "all", "objective met"},
                  {}};
  for (const auto& family : objectives.at("families").items()) table.columns.push_back(family.key());
  for (const auto& policy : kPolicies) {
    const json& mean = objectives.at("mean").at(policy);
    table.rows.push_back({policy_name(policy), percent(mean.at("accuracy")), percent(mean.at("met"))});
    for (const auto& family : objectives.at("families").items())
      table.rows.back().push_back(percent(family.value().at(policy).at("accuracy")));
  }
  for (const auto& method : evaluation.at("methods").at("methods").items()) {
    table.rows.push_back({method.key(), percent(method.value().at("mean")), "-"});
    table.rows.back().resize(table.columns.size(), "-");
  }
  return table;
}

TextTable trace_table(const json& evaluation) {
  const json& traces = evaluation.at("traces");
  TextTable table{fmt::format("Right answers within the objective, percent, on traces of {} requests",
                              traces.at(0).at("requests").get<std::int64_t>()),
                  {"who chooses"},
                  {}};
  for (const auto& trace : traces) table.columns.push_back(trace_name(trace));
  for (const auto& name : server_names(traces.at(0).at("servers"))) {
    table.rows.push_back({server_name(name)});
    for (const auto& trace : traces) table.rows.back().push_back(percent(trace.at("servers").at(name).at("right")));
  }
  return table;
}

TextTable app_table(const json& evaluation) {
  const json& servers = evaluation.at("traces").at(0).at("servers");
  TextTable table{"The same by app: alpha 0, nobody waiting", {"who chooses"}, {}};
  for (const auto& app : trace_apps())
    table.columns.push_back(fmt::format("{} {:g}, {:g}", app.name, app.slo[0], app.slo[1]));
  for (const auto& name : server_names(servers)) {
    table.rows.push_back({server_name(name)});
    for (const auto& app : trace_apps())
      table.rows.back().push_back(percent(servers.at(name).at("apps").at(app.name).at("right")));
  }
  return table;
}

TextTable ablation_table(const json& evaluation) {
  const double whole = evaluation.at("objectives").at("mean").at("tlm").at("accuracy");
  TextTable table{
      fmt::format("Without a part: right answers within the objective, percent; with all {:.1f}", 100 * whole),
      {"ablation", "right", "less", "objective met", "what changes"},
      {}};
  for (const auto& ablation : evaluation.at("ablations")) {
    const double share = ablation.at("tlm");
    table.rows.push_back({ablation.at("name"), percent(ablation.at("tlm")),
                          fmt::format("{:+.1f}", 100 * (share - whole)), percent(ablation.at("met")),
                          ablation.at("about")});
  }
  return table;
}

TextTable stage_table_of(const json& evaluation) {
  TextTable table{"What the stages cost on this machine", {"stage", "time", "memory", "energy, J"}, {}};
  for (const auto& cost : evaluation.at("costs")) {
    table.rows.push_back(
        {cost.at("stage"), cost.at("seconds").is_number() ? format_duration(cost.at("seconds").get<double>()) : "-",
         cost.at("memory_bytes").is_number() ? format_bytes(cost.at("memory_bytes").get<double>()) : "-",
         number_or_dash(cost.at("energy_joules"), "{:.0f}")});
  }
  return table;
}

TextTable carrying_table(const json& evaluation) {
  const json& carrying = evaluation.at("carrying");
  TextTable table{fmt::format("One file of {}; a file for each level would be {} in all",
                              format_bytes(carrying.at("artifact_bytes").get<double>()),
                              format_bytes(carrying.at("separate_bytes").get<double>())),
                  {"level", "weights of a token", "switching, us"},
                  {}};
  for (const auto& level : carrying.at("levels"))
    table.rows.push_back({fmt::format("{}", level.at("level").get<int>()),
                          format_bytes(level.at("bytes").get<double>()),
                          number_or_dash(level.at("switch_us"), "{:.2f}")});
  return table;
}

std::vector<std::string> goal_lines(const json& evaluation) {
  std::vector<std::string> lines;
  if (evaluation.at("methods").contains("mean_gain"))
    lines.push_back(gain_line("the best other method at each objective", evaluation.at("methods")));
  lines.push_back(gain_line("the best simpler policy at each objective", evaluation.at("against_policies")));
  lines.push_back(fmt::format("looser objectives that are answered worse, beyond noise: {}",
                              evaluation.at("objectives").at("falls").size()));
  return lines;
}

std::string format_table(const TextTable& table) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    widths.push_back(table.columns[c].size());
    for (const auto& row : table.rows) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text = table.caption + "\n";
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c)
      text += c == 0 ? fmt::format("{:<{}}", cells[c], widths[c]) : fmt::format("  {:>{}}", cells[c], widths[c]);
    text += "\n";
  };
  line(table.columns);
  for (const auto& row : table.rows) line(row);
  return text;
}

}  // namespace elastify
