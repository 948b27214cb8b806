#include "pipeline/pipeline.h"

#include <elrt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "model/device.h"
#include "pipeline/stages.h"
#include "pipeline/text_source.h"
#include "pipeline/tlm_stages.h"

namespace elastify {
namespace {

using StageFunction = json (*)(const StageContext&);
const std::vector<std::pair<std::string, StageFunction>> kStages = {
    {"sample", run_sample},           {"profile", run_profile},   {"anchors", run_anchors},
    {"reorder", run_reorder},         {"finetune", run_finetune}, {"pack-base", run_pack_base},
    {"train-score", run_train_score}, {"label", run_label},       {"train-tlm", run_train_tlm},
    {"compare", run_compare},         {"pack", run_pack}};
const std::set<std::string> kTlmStages = {"pack-base", "train-score", "label", "train-tlm", "compare"};

}  // namespace

const std::vector<std::string>& stage_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, function] : kStages) all.push_back(name);
    return all;
  }();
  return names;
}

Pipeline::Pipeline(PipelineConfig config, const fs::path& run_dir) : config_(std::move(config)), run_(run_dir) {
  parse_device(config_.device);
  set_compute_threads(config_.threads, Checkpoint::open(config_.checkpoint).config());
  json resolved = config_to_json(config_);
  resolved["threads"] = torch::get_num_threads();
  write_json(run_.file("config.resolved.json"), resolved);
}

std::string Pipeline::key_of(const std::string& stage) {
  const Checkpoint checkpoint = Checkpoint::open(config_.checkpoint);
  json key = {{"version", tool_version()}, {"stage", stage}, {"seed", config_.seed}};
  const auto add_compute = [&] {
    key["device"] = config_.device;
    key["threads"] = torch::get_num_threads();
  };
  const auto add_checkpoint = [&] {
    for (const auto& file : checkpoint.files()) key["checkpoint"].push_back(run_.content_hash(file));
    for (const auto& file : tokenizer_files(tokenizer_path(config_, checkpoint)))
      key["tokenizer"].push_back(run_.content_hash(file));
    for (const auto& file : text_end_files(config_, checkpoint)) key["tokenizer"].push_back(run_.content_hash(file));
  };
  json resolved = config_to_json(config_);
  if (stage == "sample") {
    add_checkpoint();
    add_compute();
    for (const char* name : {"sample_documents", "sample_tokens", "sample_temperature"})
      key["data"][name] = resolved["data"][name];
  } else if (stage == "profile" || stage == "anchors") {
    add_checkpoint();
    add_compute();
    key["text"] = text_hash(run_, config_);
    key["seq"] = config_.profile.seq;
    key["settings"] = resolved[stage];
  } else if (stage == "reorder") {
    add_checkpoint();
    key["profile"] = run_.output_hash("profile");
    key["anchors"] = run_.output_hash("anchors");
    key["settings"] = resolved[stage];
  } else if (stage == "finetune") {
    add_compute();
    key["reorder"] = run_.output_hash("reorder");
    key["text"] = text_hash(run_, config_);
    key["settings"] = resolved[stage];
    key["settings"]["products"] = product_type_name(
        parse_product_type(config_.finetune.products, parse_device(config_.device), checkpoint.config().hidden_size));
  } else if (stage == "train-score" || stage == "label" || stage == "train-tlm" || stage == "compare") {
    add_compute();
    add_tlm_inputs(stage, resolved, key);
  } else {
    add_checkpoint();
    key["reorder"] = run_.output_hash("reorder");
    if (config_.pack.adapters) key["finetune"] = run_.output_hash("finetune");
    if (stage == "pack") {
      if (!config_.pack.tlm.empty()) {
        for (const auto& file : packed_tlm_files(config_.pack.tlm)) key["tlm"].push_back(run_.content_hash(file));
      } else if (config_.label.wanted()) {
        key["tlm"] = run_.output_hash("train-tlm");
      }
    }
    key["format"] = elrt::format::kFormatVersion;
    key["settings"] = resolved["pack"];
  }
  return hash_text(key.dump());
}

// Labels stand on the base artifact and the score-head, the decision-head on labels and a latency table.
void Pipeline::add_tlm_inputs(const std::string& stage, const json& resolved, json& key) {
  const auto add_files = [&](const std::vector<std::string>& paths) {
    for (const auto& path : paths) key["files"].push_back(run_.content_hash(path));
  };
  if (!config_.label.wanted()) fail_usage("stage {} needs tasks: set label.train", stage);
  add_files(config_.label.train);
  key["base"] = run_.output_hash("pack-base");
  key["label"] = resolved["label"];
  if (stage == "train-score") {
    key["settings"] = resolved["tlm"];
    key["settings"].erase("decision");
    key["settings"].erase("decisions");
    key["settings"].erase("latency_table");
    add_files(config_.tlm.pairs);
    if (!config_.tlm.model.vocabulary.empty()) add_files({config_.tlm.model.vocabulary});
    if (!config_.tlm.model.body.empty()) add_files({config_.tlm.model.body});
    for (const char* items : {"train_items", "validation_items", "test_items", "chunk_tasks", "validation", "test"})
      key["label"].erase(items);
    return;
  }
  add_files(config_.label.validation);
  add_files(config_.label.test);
  key["score"] = run_.output_hash("train-score");
  if (stage == "label") return;
  key["labels"] = run_.output_hash("label");
  key["settings"] = resolved["tlm"];
  if (!config_.tlm.latency_table.empty()) add_files({config_.tlm.latency_table});
  if (stage == "compare") key["tlm"] = run_.output_hash("train-tlm");
}

std::vector<std::string> Pipeline::outputs_of(const std::string& stage) const {
  static const std::map<std::string, std::vector<std::string>> outputs = {{"sample", {kSampledFile}},
                                                                          {"profile", {"profile.h5"}},
                                                                          {"anchors", {"anchors.json"}},
                                                                          {"reorder", {"reordered", "plan.json"}},
                                                                          {"finetune", {"adapters", "finetune.json"}},
                                                                          {"pack-base", {kBaseArtifact}},
                                                                          {"train-score", {"score"}},
                                                                          {"label", {"labels.h5"}},
                                                                          {"train-tlm", {"tlm", kLatencyFile}},
                                                                          {"compare", {"comparison.json"}},
                                                                          {"pack", {"model.gguf"}}};
  return outputs.at(stage);
}

json Pipeline::run(const std::string& stage) {
  StageFunction function = nullptr;
  for (const auto& [name, candidate] : kStages) {
    if (name == stage) function = candidate;
  }
  require(function != nullptr, "unknown stage {}", stage);
  const std::string key = key_of(stage);
  const fs::path summary_path = run_.file(".stages") / (stage + ".summary.json");
  if (run_.up_to_date(stage, key) && fs::exists(summary_path)) {
    spdlog::info("{}: up to date", stage);
    json summary = read_json(summary_path);
    summary["up_to_date"] = true;
    return summary;
  }
  run_.claim(stage, outputs_of(stage));
  spdlog::info("{}: starts", stage);
  const Stopwatch watch;
  StageContext context{config_, run_, parse_device(config_.device), run_.work_dir(stage, key), key};
  json summary = function(context);
  const double seconds = watch.seconds();
  summary["stage"] = stage;
  summary["up_to_date"] = false;
  summary["stage_seconds"] = seconds;
  write_json(summary_path, summary);
  run_.record(stage, key, outputs_of(stage), seconds);
  run_.clear_work(stage);
  spdlog::info("{}: done in {}", stage, format_duration(seconds));
  return summary;
}

json Pipeline::build() {
  json stages = json::array();
  for (const auto& stage : stage_names()) {
    if (stage == "sample" && !needs_sampling(config_.data)) continue;
    if (stage == "finetune" && !config_.pack.adapters) continue;
    if (kTlmStages.contains(stage) && !config_.label.wanted()) continue;
    if (stage == "compare" && (config_.label.test.empty() || config_.label.validation.empty())) continue;
    stages.push_back(run(stage));
  }
  return {{"stages", stages}, {"artifact", run_.file("model.gguf").string()}};
}

}  // namespace elastify
