#include "evaluate/methods.h"

#include "base/error.h"

namespace elastify {
namespace {

using nlohmann::json;

std::map<std::string, double> accuracies(const json& tasks) {
  std::map<std::string, double> found;
  for (const auto& family : tasks.at("families").items()) found[family.key()] = family.value().at("accuracy");
  return found;
}

// Mean over the run's test tasks of what is right within the SLO.
double right_under(const LoadedRun& run, const MethodServer& server, const SloRatios& slo) {
  double sum = 0;
  const auto tasks = run.test_tasks();
  for (const std::int64_t task : tasks) {
    const Service service = server.under(task, slo);
    if (service.met) sum += service.right;
  }
  return sum / static_cast<double>(tasks.size());
}

}  // namespace

MethodLevels method_levels(const json& baselines) {
  MethodLevels methods;
  if (!baselines.at("full").contains("tasks")) return methods;
  const MethodLevel full{1, 1, accuracies(baselines.at("full").at("tasks"))};
  for (const auto& result : baselines.at("results")) {
    const std::string name = result.at("method");
    if (!result.contains("tasks") || !result.contains("latency") || name == "contextual") continue;
    auto& levels = methods[name];
    if (levels.empty()) levels.push_back(full);
    const json& latency = result.at("latency");
    levels.push_back({latency.at("ttft_share"), latency.at("tpot_share"), accuracies(result.at("tasks"))});
  }
  return methods;
}

void write_test_tasks(const LoadedRun& run, const fs::path& path) {
  std::string text;
  for (const std::int64_t task : run.test_tasks())
    text += format_task(run.tasks[static_cast<std::size_t>(task)]) + "\n";
  write_file(path, text);
}

json compare_methods(const LoadedRun& run, const MethodLevels& methods, const json& lattice) {
  json result = {{"methods", json::object()}};
  std::vector<double> best(lattice.size(), -1);
  std::vector<std::string> names(lattice.size());
  for (const auto& [name, levels] : methods) {
    const MethodServer server(*run.without_tlm, levels);
    double sum = 0;
    json cells = json::array();
    for (std::size_t s = 0; s < lattice.size(); ++s) {
      const double right = right_under(run, server, {lattice[s].at("ttft"), lattice[s].at("tpot")});
      sum += right;
      cells.push_back(right);
      if (name != "ours" && right > best[s]) {
        best[s] = right;
        names[s] = name;
      }
    }
    result["methods"][name] = {{"mean", sum / static_cast<double>(lattice.size())}, {"lattice", cells}};
  }
  double gain = 0, ahead = 0;
  for (std::size_t s = 0; s < lattice.size() && !names[s].empty(); ++s) {
    const double difference = lattice[s].at("tlm").at("accuracy").get<double>() - best[s];
    result["best"].push_back(names[s]);
    result["gain"].push_back(difference);
    gain += difference;
    ahead += difference > 0 ? 1 : 0;
  }
  if (result.contains("gain")) {
    result["mean_gain"] = gain / static_cast<double>(lattice.size());
    result["cells_ahead"] = ahead / static_cast<double>(lattice.size());
  }
  return result;
}

}  // namespace elastify
