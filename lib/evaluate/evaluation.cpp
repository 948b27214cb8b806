#include "evaluate/evaluation.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "baselines/harness.h"
#include "evaluate/ablations.h"
#include "evaluate/costs.h"
#include "evaluate/evaluation_page.h"
#include "evaluate/variant.h"
#include "pipeline/pipeline.h"
#include "pipeline/stages.h"

namespace elastify {
namespace {

using nlohmann::json;

bool is_all(const std::vector<std::string>& names) { return names.size() == 1 && names.front() == "all"; }

void require_tasks(const PipelineConfig& config) {
  if (!config.label.wanted() || config.label.validation.empty() || config.label.test.empty())
    fail_usage("an evaluation needs tasks: set label.train, label.validation and label.test");
}

// Was the harness asked the run's own test tasks?
bool same_tasks(const json& baselines, const LoadedRun& run) {
  if (!baselines.at("full").contains("tasks")) return false;
  std::size_t items = 0;
  for (const auto& family : baselines.at("full").at("tasks").at("families").items()) {
    if (std::find(run.table.families.begin(), run.table.families.end(), family.key()) == run.table.families.end())
      return false;
    items += family.value().at("n").get<std::size_t>();
  }
  return items == run.test_tasks().size();
}

MethodLevels measured_methods(const PipelineConfig& config, const EvaluationRequest& request, const LoadedRun& run) {
  if (request.methods.empty()) {
    const fs::path known = request.run_dir / "baselines" / "baselines.json";
    if (!fs::exists(known)) return {};
    const json baselines = read_json(known);
    if (same_tasks(baselines, run)) return method_levels(baselines);
    spdlog::info("{} was measured on other tasks and is left out: ask for --methods", known.string());
    return {};
  }
  const fs::path tasks = request.run_dir / "evaluate" / "tasks.jsonl";
  fs::create_directories(tasks.parent_path());
  write_test_tasks(run, tasks);
  BaselinesRequest baselines;
  if (!is_all(request.methods)) baselines.methods = request.methods;
  baselines.tasks = {tasks.string()};
  baselines.limit = 0;
  baselines.levels = request.levels;
  baselines.tokens = request.tokens;
  return method_levels(run_baselines(config, request.run_dir, baselines));
}

// The variants that were asked for. Throws Error(kUsage) for a name that the table lacks, before anything is built.
std::vector<Variant> wanted_variants(const PipelineConfig& config, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  const std::vector<Variant> table = variant_table(config);
  if (is_all(names)) return table;
  std::vector<Variant> wanted;
  for (const auto& name : names) {
    const auto found = std::find_if(table.begin(), table.end(), [&](const Variant& v) { return v.name == name; });
    if (found == table.end()) {
      std::vector<std::string> known;
      for (const auto& variant : table) known.push_back(variant.name);
      fail_usage("there is no ablation {} of this configuration: choose of {}, or all", name, fmt::join(known, ", "));
    }
    wanted.push_back(*found);
  }
  return wanted;
}

json built_ablation(const EvaluationRequest& request, const Variant& variant, const LoadedRun& clock) {
  spdlog::info("evaluate: {}: {}", variant.name, variant.about);
  build_variant(request.config, request.overrides, request.run_dir, variant);
  std::vector<std::string> overrides = request.overrides;
  overrides.insert(overrides.end(), variant.overrides.begin(), variant.overrides.end());
  const auto run =
      load_run(load_pipeline_config(request.config, overrides), variant_directory(request.run_dir, variant.name));
  json result = served_accuracy(*run, clock);
  result["name"] = variant.name;
  result["about"] = variant.about;
  return result;
}

// The best of the policies that a product could have without a TLM, at each objective.
json against_policies(const json& lattice) {
  static const std::vector<std::string> simpler{"single", "model_only", "prompt_only", "random", "full"};
  double gain = 0, ahead = 0;
  for (const auto& cell : lattice) {
    double best = 0;
    for (const auto& policy : simpler) best = std::max(best, cell.at(policy).at("accuracy").get<double>());
    const double difference = cell.at("tlm").at("accuracy").get<double>() - best;
    gain += difference;
    ahead += difference > 0 ? 1 : 0;
  }
  const auto cells = static_cast<double>(lattice.size());
  return {{"mean_gain", gain / cells}, {"cells_ahead", ahead / cells}};
}

}  // namespace

json run_evaluation(const EvaluationRequest& request) {
  const PipelineConfig config = load_pipeline_config(request.config, request.overrides);
  require_tasks(config);
  const std::vector<Variant> variants = wanted_variants(config, request.ablations);
  Pipeline(config, request.run_dir).build();
  const json comparison = read_json(request.run_dir / "comparison.json");
  const auto run = load_run(config, request.run_dir);
  json result = {{"artifact", (request.run_dir / kArtifact).string()},
                 {"objectives", comparison.at("decisions")},
                 {"compression", comparison.at("compression")},
                 {"yardstick", comparison.value("yardstick", json())},
                 {"latency", {{"device", run->latency.data().device}, {"threads", run->latency.data().threads}}}};
  const json& lattice = result["objectives"].at("lattice");
  const MethodLevels methods = measured_methods(config, request, *run);
  result["methods"] = compare_methods(*run, methods, lattice);
  spdlog::info("evaluate: traces of {} requests", request.traces.requests);
  result["traces"] = serve_traces(*run, methods, request.traces);
  result["against_policies"] = against_policies(lattice);
  result["ablations"] = quick_ablations(*run, result["objectives"]);
  for (const Variant& variant : variants) result["ablations"].push_back(built_ablation(request, variant, *run));
  result["costs"] = stage_costs(request.run_dir);
  result["carrying"] = carrying_costs(request.run_dir / kArtifact);
  write_json(request.run_dir / "evaluation.json", result);
  write_evaluation_page(result, request.run_dir);
  return result;
}

}  // namespace elastify
