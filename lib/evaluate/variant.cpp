#include "evaluate/variant.h"

#include <elrt/latency_table.hpp>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/log.h"
#include "evaluate/shared_stages.h"
#include "evaluate/variant_latency.h"
#include "pipeline/pipeline.h"
#include "pipeline/stage_table.h"
#include "pipeline/stages.h"
#include "tlm/dual_head_file.h"

namespace elastify {
namespace {

std::string setting(const std::string& key, const json& value) { return key + "=" + value.dump(); }

// Does a build train the tiny language model that its artifact holds?
bool trains_tlm(const PipelineConfig& config) { return config.label.wanted() && config.pack.tlm.empty(); }

// `levels`, rising, and the multiples of 5 from the lowest to `last`.
std::vector<std::int64_t> in_steps_of_5(std::vector<std::int64_t> levels, std::int64_t last) {
  for (std::int64_t level = (levels.front() / 5 + 1) * 5; level <= last; level += 5) levels.push_back(level);
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return levels;
}

std::vector<std::string> finer_levels(const PipelineConfig& config) {
  std::vector<std::string> overrides;
  const auto refine = [&](const char* key, std::vector<std::int64_t> levels, bool to_100) {
    if (levels.empty()) return;
    std::sort(levels.begin(), levels.end());
    const auto finer = in_steps_of_5(levels, to_100 ? 100 : levels.back());
    if (finer != levels) overrides.push_back(setting(key, finer));
  };
  refine("reorder.levels", config.reorder.levels, true);
  refine("label.model_levels", config.label.model_levels, true);
  refine("finetune.levels", config.finetune.levels, false);
  return overrides;
}

// Layers of the tiny language model's parts, none of them 0.
struct TlmLayers {
  std::int64_t bottom = 0, score = 0, decision = 0;
};

TlmLayers resolved(const DualHeadConfig& heads, std::int64_t body_layers) {
  const std::int64_t bottom = heads.bottom_layers > 0 ? heads.bottom_layers : (body_layers + 1) / 2;
  const auto of_head = [&](std::int64_t count) { return count > 0 ? count : body_layers - bottom; };
  return {bottom, of_head(heads.score_layers), of_head(heads.decision_layers)};
}

std::vector<std::string> half_of(const TlmLayers& layers) {
  const auto half = [](std::int64_t count) { return std::max<std::int64_t>(1, count / 2); };
  const TlmLayers less{half(layers.bottom), half(layers.score), half(layers.decision)};
  if (less.bottom == layers.bottom && less.score == layers.score && less.decision == layers.decision) return {};
  return {setting("tlm.heads.bottom_layers", less.bottom), setting("tlm.heads.score_layers", less.score),
          setting("tlm.heads.decision_layers", less.decision),
          setting("tlm.size.num_layers", less.bottom + std::max(less.score, less.decision))};
}

// A body of the same widths and words that is trained from nothing.
std::vector<std::string> from_nothing(const TlmSettings& settings, const TlmConfig& body) {
  std::vector<std::string> overrides = {setting("tlm.body", ""),
                                        setting("tlm.size.vocab_size", body.vocab_size),
                                        setting("tlm.size.embedding_size", body.embedding_size),
                                        setting("tlm.size.hidden_size", body.hidden_size),
                                        setting("tlm.size.bottleneck_size", body.inner_size()),
                                        setting("tlm.size.intermediate_size", body.intermediate_size),
                                        setting("tlm.size.num_heads", body.num_heads),
                                        setting("tlm.size.num_feed_forward", body.num_feed_forward),
                                        setting("tlm.size.max_positions", body.max_positions)};
  if (settings.vocabulary.empty())
    overrides.push_back(setting("tlm.vocabulary", (fs::path(settings.body) / "vocab.txt").string()));
  return overrides;
}

bool is_trained(const TlmSettings& settings) { return !settings.body.empty() && is_dual_head(settings.body); }

// Empty where there is nothing to halve.
std::vector<std::string> half_tlm(const TlmSettings& settings) {
  if (settings.body.empty()) return half_of(resolved(settings.heads, settings.size.num_layers));
  if (!is_trained(settings)) {
    const json shape = read_json(fs::path(settings.body) / "config.json");
    return half_of(resolved(settings.heads, tlm_config_from_hf(shape, settings.body).num_layers));
  }
  const DualHead trained = read_dual_head(settings.body, torch::kCPU, torch::kFloat32);
  std::vector<std::string> overrides = half_of(resolved(trained.settings, trained.body.num_layers));
  if (overrides.empty()) return {};
  const auto more = from_nothing(settings, trained.body);
  overrides.insert(overrides.end(), more.begin(), more.end());
  return overrides;
}

// The stages up to base.gguf; summaries of those that ran, by name.
std::map<std::string, json> build_base(const PipelineConfig& config, const fs::path& folder) {
  std::map<std::string, json> ran;
  for (const Stage* stage : wanted_stages(config)) {
    json summary = Pipeline(config, folder, stage->name).run();
    if (summary.at("up_to_date") == false) ran[stage->name] = std::move(summary);
    if (stage->outputs.front() == kBaseArtifact) break;
  }
  return ran;
}

}  // namespace

std::vector<Variant> variant_table(const PipelineConfig& config) {
  std::vector<Variant> table;
  const auto add = [&](const std::string& name, const std::string& about, std::vector<std::string> overrides) {
    if (!overrides.empty()) table.push_back({name, about, std::move(overrides)});
  };
  if (config.reorder.order != "checkpoint")
    add("no_reordering", "units in the order of the checkpoint", {setting("reorder.order", "checkpoint")});
  if (config.pack.adapters)
    add("no_adapters", "levels as they were cut, without recovery", {setting("pack.adapters", false)});
  if (trains_tlm(config)) {
    if (config.label.ranking != "random")
      add("no_score_head", "prompts shortened by random words", {setting("label.ranking", "random")});
    const TlmSettings& tlm = config.tlm.model;
    add("small_tlm",
        std::string("a tiny language model of half of the layers") + (is_trained(tlm) ? ", trained from nothing" : ""),
        half_tlm(tlm));
  }
  add("steps_of_5", "levels in steps of 5 %", finer_levels(config));
  for (const char* type : {"f16", "q8_0", "iq4_nl", "q4_0"}) {
    if (config.pack.dtype != type)
      add(std::string("weights_") + type, fmt::format("the blocks' matrices in {}", type),
          {setting("pack.dtype", type)});
  }
  return table;
}

fs::path variant_directory(const fs::path& run_dir, const std::string& name) { return run_dir / "evaluate" / name; }

json build_variant(const fs::path& config_path, std::vector<std::string> overrides, const fs::path& run_dir,
                   const Variant& variant) {
  overrides.insert(overrides.end(), variant.overrides.begin(), variant.overrides.end());
  const PipelineConfig given = load_pipeline_config(config_path, overrides);
  if (!fs::exists(run_dir / ".stages"))
    fail_usage("{} is no run directory: run elastify build with the same configuration first", run_dir.string());
  const bool measured = given.label.wanted() && has_measured_table(given);
  PipelineConfig config = given;
  config.tlm.latency_table.clear();  // that of the run's own artifact
  const fs::path folder = variant_directory(run_dir, variant.name);
  spdlog::info("variant {}: {}", variant.name, variant.about);
  const auto shared = share_stages(config, run_dir, folder);

  std::map<std::string, json> ran;
  if (measured && ran_alike(run_dir, folder, "train-score")) {
    config.tlm.latency_table = given.tlm.latency_table;  // the same levels, and a tiny language model of the same shape
  } else if (measured) {
    ran = build_base(config, folder);
    variant_latency(given, folder / kBaseArtifact);
    config.tlm.latency_table = elrt::LatencyTable::default_path(folder / kBaseArtifact).string();
  }
  json result = Pipeline(config, folder).build();
  for (auto& summary : result.at("stages")) {
    const auto before = ran.find(summary.at("stage").get<std::string>());
    if (before != ran.end()) summary = before->second;
  }
  result.update({{"name", variant.name},
                 {"about", variant.about},
                 {"overrides", variant.overrides},
                 {"run_dir", folder.string()},
                 {"shared", shared}});
  return result;
}

}  // namespace elastify
