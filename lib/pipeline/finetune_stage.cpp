#include "pipeline/stages.h"

#include <algorithm>
#include <optional>

#include "finetune/finetune.h"
#include "pipeline/stage_parts.h"
#include "pipeline/state_memory.h"
#include "pipeline/text_source.h"

namespace elastify {
namespace {

// Of the level that needs the most.
double memory_bytes(const ModelWeights& weights, const ElasticPlan& plan, const FinetuneConfig& settings,
                    std::int64_t seq) {
  std::int64_t most = 0;
  for (const LevelPlan& level : plan.levels) {
    const auto& wanted = settings.levels;
    if (level.level == 100 || (!wanted.empty() && std::count(wanted.begin(), wanted.end(), level.level) == 0)) continue;
    most = std::max(most, finetune_memory_bytes(weights, level.widths, settings, seq));
  }
  return static_cast<double>(most);
}

}  // namespace

json run_finetune(const StageContext& context) {
  const FinetuneConfig& settings = context.config.finetune;
  const Checkpoint reordered = Checkpoint::open(context.run.file("reordered"));
  const ElasticPlan plan = load_plan(context.run.file("plan.json"), reordered.config());
  const elrt::Tokenizer tokenizer = load_tokenizer(context.config, reordered);
  const TextSets text = load_text(context.run, context.config, tokenizer);
  const std::int64_t seq = std::min(settings.seq, reordered.config().max_positions);
  const TokenRows train = make_rows(context.config.data, text.train, seq, 0, context.seed() + 2);
  const TokenRows held_out = make_rows(context.config.data, text.held_out, seq, settings.held_out_tokens, 0);
  const ModelWeights weights = load_weights(reordered, context.device, finetune_dtype(settings.dtype, context.device));
  state_memory(context, "finetune", memory_bytes(weights, plan, settings, seq));
  FinetuneInput input{weights,
                      plan.levels,
                      train,
                      held_out,
                      context.run.file("adapters"),
                      context.run.file("teacher"),
                      context.seed(),
                      context.key,
                      context.run.content_hash(reordered.files().back())};
  std::optional<RoundingText> rounding;
  if (rounds_by_text(context.config)) rounding = rounding_text(context, reordered, plan);
  input.rounding = rounding ? &*rounding : nullptr;
  input.wider = context.config.pack.wider;
  const FinetuneSummary summary = finetune(input, settings);
  save_finetune_summary(context.run.file("finetune.json"), summary);
  return to_json(summary);
}

std::string describe_finetune(const json& summary) {
  const auto number = [](const json& value) {
    return value.is_number() ? fmt::format("{:.4f}", value.get<double>()) : std::string("-");
  };
  std::string text =
      fmt::format("held-out loss of the full level {} nats\nlevel  before   after  steps  best  s per step\n",
                  number(summary.at("loss_full")));
  for (const auto& level : summary.at("levels")) {
    text += fmt::format("{:>5}  {:>6}  {:>6}  {:>5}  {:>4}  {:>10.3f}{}\n", level.at("level").get<int>(),
                        number(level.at("loss_before")), number(level.at("loss_after")),
                        level.at("steps_run").get<std::int64_t>(), level.at("best_step").get<std::int64_t>(),
                        level.at("step_seconds").get<double>(), level.at("kept").get<bool>() ? "" : "  not kept");
  }
  return text;
}

}  // namespace elastify
