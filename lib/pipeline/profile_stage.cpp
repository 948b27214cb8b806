#include "pipeline/stages.h"

#include "pipeline/stage_parts.h"
#include "pipeline/state_memory.h"
#include "profile/check.h"

namespace elastify {

json run_profile(const StageContext& context) {
  const ProfileConfig& settings = context.config.profile;
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  const std::int64_t seq = std::min(settings.seq, checkpoint.config().max_positions);
  const std::int64_t batch_rows = std::min(settings.batch_rows, (settings.tokens + seq - 1) / seq);
  const ProductType products = parse_product_type(settings.products, context.device, checkpoint.config().hidden_size);
  state_memory(
      context, "profile",
      mapped_bytes(checkpoint) + profile_memory_bytes(checkpoint.config(), batch_rows, seq, torch::kFloat32, products));
  const Decoder decoder = load_decoder(context, checkpoint);
  const TokenRows rows = calibration_rows(context, checkpoint, settings.tokens);
  const ResumePoint resume{context.work / "profile.safetensors", context.key, 30, {}};
  const ProfilePass pass = profile_units(decoder, rows, settings, context.seed(), resume);

  Profile profile;
  profile.scores = pass.scores;
  profile.method = settings.method;
  profile.tokens = pass.tokens;
  profile.seed = context.seed();
  profile.mean_loss = pass.mean_loss;
  profile.source_hash = context.run.content_hash(checkpoint.files().back());
  profile.tool_version = tool_version();
  profile.checked = units_to_check(checkpoint.config(), settings);
  UnitScores check_scores;
  if (!profile.checked.empty()) {
    const TokenRows check_rows = rows_to_check(rows, settings);
    const ResumePoint check_resume{context.work / "check.safetensors", context.key, 30, {}};
    const AblationResult exact = ablate_units(decoder, check_rows, profile.checked, check_resume);
    profile.checked_change = exact.loss_change;
    profile.checked_tokens = exact.tokens;
    // The same rows give the same scores.
    check_scores = check_rows.rows() == rows.rows()
                       ? pass.scores
                       : profile_units(decoder, check_rows, settings, context.seed()).scores;
  }
  save_profile(context.run.file("profile.h5"), profile);
  return profile_summary(profile, check_scores, pass.seconds);
}

std::string describe_profile(const json& summary) {
  std::string text = fmt::format("importance by {}", summary.at("method").get<std::string>());
  if (summary.at("tokens").get<std::int64_t>() > 0) {
    text += fmt::format(", {} tokens, mean loss {:.4f} nats, {:.0f} tokens/s", summary.at("tokens").get<std::int64_t>(),
                        summary.at("mean_loss").get<double>(), summary.value("tokens_per_s", 0.0));
  }
  if (!summary.contains("check"))
    return text + "\nnot compared with exact ablation (profile.check_units, check_tflop)\n";
  const json& check = summary.at("check");
  const auto number = [](const json& value) {
    return value.is_number() ? fmt::format("{:.3f}", value.get<double>()) : std::string("-");
  };
  text += fmt::format(
      "\nrank correlation with exact ablation of {} units on {} tokens: neurons {} (mean of layers), KV groups "
      "{}\nneurons by layer:",
      check.at("units").get<std::int64_t>(), check.at("tokens").get<std::int64_t>(),
      number(check.at("spearman_neurons_mean")), number(check.at("spearman_kv_groups")));
  for (const auto& layer : check.at("spearman_neurons")) text += fmt::format(" {}", number(layer));
  return text + "\n";
}

}  // namespace elastify
