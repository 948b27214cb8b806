#include "pipeline/pipeline.h"

#include <algorithm>

#include "base/energy.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "model/device.h"
#include "pipeline/build_progress.h"
#include "pipeline/check_settings.h"
#include "pipeline/stage_key.h"
#include "pipeline/stage_table.h"
#include "pipeline/stages.h"

namespace elastify {
namespace {

// Settings first: a refused run leaves no folder.
std::vector<const Stage*> checked_stages(const PipelineConfig& config, const std::string& stage) {
  const std::vector<const Stage*> stages =
      stage.empty() ? wanted_stages(config) : std::vector<const Stage*>{&find_stage(stage)};
  check_settings(config, stages);
  set_compute_threads(config.threads, Checkpoint::open(config.checkpoint).config());
  return stages;
}

constexpr const char* kResolvedFile = "config.resolved.json";

}  // namespace

Pipeline::Pipeline(PipelineConfig config, const fs::path& run_dir, const std::string& stage)
    : config_(std::move(config)), stages_(checked_stages(config_, stage)), run_(run_dir) {}

json Pipeline::run_now(const Stage& stage, const std::string& key) {
  run_.claim(stage.name, stage.outputs);
  // The old description goes before the artifact that it describes.
  if (std::find(stage.outputs.begin(), stage.outputs.end(), kArtifact) != stage.outputs.end())
    fs::remove(run_.file(kResolvedFile));
  trim_memory();
  restart_peak();
  double stated_bytes = 0;
  const EnergyMeter energy;
  const Stopwatch watch;
  json summary =
      stage.run({config_, run_, parse_device(config_.device), run_.work_dir(stage.name, key), key, &stated_bytes});
  const double seconds = watch.seconds();
  summary["stage"] = stage.name;
  summary["up_to_date"] = false;
  summary["stage_seconds"] = seconds;
  summary["memory"] = {{"used_bytes", peak_resident_bytes()}};
  if (stated_bytes > 0) summary["memory"]["stated_bytes"] = static_cast<std::int64_t>(stated_bytes);
  if (const auto joules = energy.joules()) summary["energy_joules"] = *joules;
  write_json(run_.file(".stages") / (std::string(stage.name) + ".summary.json"), summary);
  run_.record(stage.name, key, stage.outputs, seconds, stage_settings(stage, config_));
  run_.clear_work(stage.name);
  return summary;
}

json Pipeline::run(const Stage& stage, BuildProgress& progress) {
  const std::string key = stage_key(stage, config_, run_);
  const fs::path summary_path = run_.file(".stages") / (std::string(stage.name) + ".summary.json");
  const std::string place = stages_.size() > 1 ? progress.place() + ", " : "";
  if (run_.up_to_date(stage.name, key) && fs::exists(summary_path)) {
    spdlog::info("{}{}: up to date", place, stage.name);
    json summary = read_json(summary_path);
    summary["up_to_date"] = true;
    progress.finish(false);
    return summary;
  }
  const double left_s = stages_.size() > 1 ? progress.left_seconds(-1) : -1;
  spdlog::info("{}{}: starts{}", place, stage.name, left_s < 0 ? "" : "; build: " + format_duration(left_s) + " left");
  json summary = run_now(stage, key);
  progress.finish(true);
  spdlog::info("{}{}: done in {}, {} of memory", place, stage.name,
               format_duration(summary.at("stage_seconds").get<double>()),
               format_bytes(summary.at("memory").at("used_bytes").get<double>()));
  return summary;
}

json Pipeline::run() {
  const json summary = build().at("stages").at(0);
  return summary;
}

json Pipeline::build() {
  const InterruptWatch watch;
  BuildProgress progress(stages_, config_, run_);
  if (stages_.size() > 1) spdlog::info("build: {}", progress.announcement());
  json summaries = json::array();
  const char* name = "";
  try {
    for (const Stage* stage : stages_) {
      name = stage->name;
      progress.start(*stage);
      summaries.push_back(run(*stage, progress));
      stop_if_interrupted();
    }
  } catch (const Interrupted& stopped) {
    throw Interrupted(stopped.signal(),
                      fmt::format("{} in stage {} ({}): what is done is kept; the same command goes on from here",
                                  stopped.what(), name, progress.place()));
  }
  if (all_up_to_date()) write_resolved();
  return {{"stages", summaries}, {"artifact", run_.file(kArtifact).string()}};
}

// After a whole build this holds; after a single stage it may, where the others ran with the same settings.
bool Pipeline::all_up_to_date() {
  const auto wanted = wanted_stages(config_);
  if (stages_.size() == wanted.size()) return true;
  return std::all_of(wanted.begin(), wanted.end(), [&](const Stage* stage) {
    try {
      return run_.up_to_date(stage->name, stage_key(*stage, config_, run_));
    } catch (const Error&) {  // a stage before it has not run, or an input is gone
      return false;
    }
  });
}

void Pipeline::write_resolved() const {
  json resolved = config_to_json(config_);
  resolved["threads"] = torch::get_num_threads();
  write_json(run_.file(kResolvedFile), resolved);
}

}  // namespace elastify
