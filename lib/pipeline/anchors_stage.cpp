#include "pipeline/stages.h"

#include "pipeline/stage_parts.h"
#include "pipeline/state_memory.h"
#include "profile/anchor.h"

namespace elastify {

json run_anchors(const StageContext& context) {
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  const AnchorsConfig& settings = context.config.anchors;
  const std::int64_t seq = std::min(context.config.profile.seq, checkpoint.config().max_positions);
  const std::int64_t batch_rows = std::min(settings.batch_rows, (settings.tokens + seq - 1) / seq);
  state_memory(context, "anchors",
               mapped_bytes(checkpoint) + anchors_memory_bytes(checkpoint.config(), batch_rows * seq));
  const Decoder decoder = load_decoder(context, checkpoint);
  const TokenRows rows = calibration_rows(context, checkpoint, settings.tokens);
  const AnchorsResult result =
      find_anchors(decoder, rows, settings, {context.work / "anchors.safetensors", context.key, 30, {}});
  save_anchors(context.run.file("anchors.json"), result);
  draw_plot(context.run.file("anchors.svg"), anchors_plot(result));
  return anchors_to_json(result);
}

std::string describe_anchors(const json& summary) {
  std::string text = fmt::format("loss {:.4f} nats on {} tokens; anchor layers:", summary.at("base_loss").get<double>(),
                                 summary.at("tokens").get<std::int64_t>());
  for (const auto& anchor : summary.at("anchors")) text += fmt::format(" {}", anchor.get<std::int64_t>());
  text += "\nlayer  loss without it\n";
  std::int64_t layer = 0;
  for (const auto& increase : summary.at("loss_increase"))
    text += fmt::format("{:>5}  {:>+15.4f}\n", layer++, increase.get<double>());
  return text;
}

}  // namespace elastify
