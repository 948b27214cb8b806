#include "pipeline/stages.h"

#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "finetune/level_result.h"
#include "pack/pack.h"
#include "pipeline/stage_parts.h"
#include "pipeline/text_source.h"

namespace elastify {
namespace {

// JSON has no NaN: what was not finite was written as null.
double number_or_nan(const json& value) { return value.is_number() ? value.get<double>() : std::nan(""); }

// The shared adapter, for those of its levels that kept it.
void add_shared_adapter(const fs::path& directory, const std::vector<std::int64_t>& kept, const ModelConfig& config,
                        PackInputs& inputs) {
  SharedAdapter shared = load_shared_adapter(directory, config, torch::kCPU, torch::kFloat32);
  std::map<std::int64_t, double> scales;
  for (const std::int64_t level : kept) {
    const auto found = shared.scales.find(level);
    if (found == shared.scales.end())
      fail_data("{} is not for level {}, whose recovery was kept; run finetune again", directory.string(), level);
    scales.insert(*found);
  }
  shared.scales = std::move(scales);
  inputs.shared_adapter = std::move(shared);
}

// Losses of every level and adapters of those whose recovery was kept.
void add_recovery(const fs::path& adapters, const json& summary, const ModelConfig& config, PackInputs& inputs) {
  std::vector<std::int64_t> sharing;
  inputs.losses[100] = {number_or_nan(summary.at("loss_full")), number_or_nan(summary.at("loss_full"))};
  for (const auto& entry : summary.at("levels")) {
    const auto level = entry.at("level").get<std::int64_t>();
    const bool kept = entry.at("kept").get<bool>();
    inputs.losses[level] = {number_or_nan(entry.at("loss_before")),
                            number_or_nan(entry.at(kept ? "loss_after" : "loss_before"))};
    if (!kept) continue;
    if (entry.value("shared", false))
      sharing.push_back(level);
    else
      inputs.adapters.emplace(level,
                              load_adapter(level_directory(adapters, level), config, torch::kCPU, torch::kFloat32));
  }
  if (!sharing.empty()) add_shared_adapter(shared_adapter_directory(adapters), sharing, config, inputs);
}

// `tlm_folder`: of the tiny language model that rides along; empty: none.
json pack_into(const StageContext& context, const fs::path& artifact, const fs::path& tlm_folder) {
  const Checkpoint reordered = Checkpoint::open(context.run.file("reordered"));
  const ElasticPlan plan = load_plan(context.run.file("plan.json"), reordered.config());
  elrt::TokenizerSpec tokenizer = load_tokenizer_spec(context.config, reordered);
  tokenizer.chat_template = chat_template_of(context.config);  // reordered/ may have been made without it
  const Checkpoint original = Checkpoint::open(context.config.checkpoint);
  PackInputs inputs{reordered, plan, tokenizer, {}, {}, original.name(), {}};
  if (context.config.pack.adapters) {
    if (const auto& base = context.config.finetune.base_dtype; base != "f32" && base != context.config.pack.dtype) {
      spdlog::warn(
          "pack: adapters were trained for {} matrices (finetune.base_dtype), the artifact holds {} (pack.dtype)", base,
          context.config.pack.dtype);
    }
    const fs::path summary_path = context.run.file("finetune.json");
    try {
      add_recovery(context.run.file("adapters"), read_json(summary_path), reordered.config(), inputs);
    } catch (const json::exception& error) {
      fail_data("{} is damaged: {}; run the finetune stage again", summary_path.string(), error.what());
    }
  }
  inputs.sources["checkpoint"] = context.run.content_hash(original.files().back());
  inputs.sources["tool_version"] = tool_version();
  std::optional<PackedTlm> tlm;
  if (!tlm_folder.empty()) {
    tlm = read_packed_tlm(tlm_folder);
    inputs.tlm = &*tlm;
  }
  std::optional<RoundingText> rounding;
  if (wants_rounding_text(context.config.pack)) {
    rounding = rounding_text(context, reordered, plan);
    inputs.rounding = &*rounding;
  }
  const QuantisationErrors errors = write_artifact(artifact, inputs, context.config.pack);
  return {{"artifact", artifact.string()},
          {"bytes", fs::file_size(artifact)},
          {"adapters", inputs.adapters.size()},
          {"levels_sharing_an_adapter", inputs.shared_adapter ? inputs.shared_adapter->scales.size() : 0},
          {"tlm", inputs.tlm != nullptr},
          {"dtype", context.config.pack.dtype},
          {"quantisation_errors", errors}};
}

}  // namespace

json run_pack(const StageContext& context) {
  fs::path tlm = context.config.pack.tlm;
  if (tlm.empty() && context.config.label.wanted()) tlm = context.run.file("tlm");
  return pack_into(context, context.run.file("model.gguf"), tlm);
}
json run_pack_base(const StageContext& context) { return pack_into(context, context.run.file(kBaseArtifact), {}); }

std::string describe_pack(const json& summary) {
  const auto sharing = summary.value("levels_sharing_an_adapter", std::int64_t{0});
  return fmt::format("{}: {}, blocks in {}, {} adapters{}, {} tiny language model\n",
                     summary.at("artifact").get<std::string>(), format_bytes(summary.at("bytes").get<double>()),
                     summary.at("dtype").get<std::string>(), summary.at("adapters").get<std::int64_t>(),
                     sharing == 0 ? "" : fmt::format(" and one for {} levels", sharing),
                     summary.at("tlm").get<bool>() ? "with a" : "without a");
}

}  // namespace elastify
