#include "pipeline/stages.h"

#include "base/error.h"
#include "pipeline/measured_parts.h"
#include "pipeline/stage_parts.h"
#include "pipeline/text_source.h"
#include "profile/anchor.h"
#include "profile/score_store.h"
#include "reorder/make_plan.h"
#include "reorder/reorder.h"
#include "tokenizer/special.h"

namespace elastify {
namespace {

UnitOrder order_of_units(const PlanConfig& settings, const ModelConfig& model, const UnitScores& scores) {
  if (settings.order == "checkpoint") return order_of_checkpoint(model);
  return order_by_importance(scores.groups, scores.neurons);
}

// Scores in falling order, as make_plan() wants them. With reorder.order=checkpoint too: what a level keeps of every
// layer is then the same, and only which units these are differs.
SortedScores sort_scores(const UnitScores& scores) {
  return {std::get<0>(scores.groups.sort(1, true)), std::get<0>(scores.neurons.sort(1, true))};
}

// Full float64 runs of both checkpoints on a few random tokens; the bound is the design's.
double prove_equal(const Checkpoint& before, const Checkpoint& after, std::uint64_t seed) {
  constexpr double kBound = 1e-10;
  torch::manual_seed(seed);
  const std::int64_t seq = std::min<std::int64_t>(32, before.config().max_positions);
  const torch::Tensor tokens = torch::randint(before.config().vocab_size, {1, seq}, torch::kInt64);
  const double difference = compare_logits(before, after, tokens);
  if (!(difference <= kBound)) {
    throw Error(ErrorCode::kInternal,
                fmt::format("reordering changed the model: logits differ by {:.3g} relative, expected at most {:.0e}",
                            difference, kBound));
  }
  return difference;
}

ElasticPlan plan_by_importance(const StageContext& context, const Checkpoint& checkpoint, const Checkpoint& reordered,
                               const UnitScores& scores) {
  const ModelConfig& model = checkpoint.config();
  const AnchorsResult anchors = load_anchors(context.run.file("anchors.json"), model.num_layers);
  remove_measured_cuts(context);
  const SortedScores sorted = sort_scores(scores);
  const auto chosen = context.config.reorder.anchors_judged_at > 0
                          ? judge_anchors(context, checkpoint, reordered, anchors, sorted)
                          : anchors.anchors;
  return make_plan(model, chosen, sorted, context.config.reorder);
}

}  // namespace

json run_reorder(const StageContext& context) {
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  const Profile profile = load_profile(context.run.file("profile.h5"), checkpoint.config());
  AtomicDirectory directory(context.run.file("reordered"));
  const PlanConfig& settings = context.config.reorder;
  write_reordered(checkpoint, order_of_units(settings, checkpoint.config(), profile.scores), directory.path());
  keep_tokenizer(tokenizer_path(context.config, checkpoint), directory.path());
  const fs::path config_file = directory.path() / "config.json";
  json config = read_json(config_file);
  write_text_ends(load_tokenizer_spec(context.config, checkpoint), config);
  write_json(config_file, config);
  const Checkpoint reordered = Checkpoint::open(directory.path());
  const double difference = prove_equal(checkpoint, reordered, context.seed());
  const ElasticPlan plan = settings.kind == "measured"
                               ? plan_by_measurement(context, checkpoint, reordered)
                               : plan_by_importance(context, checkpoint, reordered, profile.scores);
  directory.commit();
  save_plan(context.run.file("plan.json"), plan);
  json levels = json::array();
  for (const auto& level : plan.levels) {
    levels.push_back({{"level", level.level},
                      {"block_ratio", level.block_ratio},
                      {"total_ratio", level.total_ratio},
                      {"anchors_give_way", level.anchors_give_way}});
  }
  return {{"plan", plan.kind},
          {"order", settings.order},
          {"anchors", plan.anchors},
          {"logit_difference", difference},
          {"levels", levels}};
}

std::string describe_reorder(const json& summary) {
  std::string text = fmt::format(
      "plan {}{}; logits differ from the checkpoint's by {:.1e} relative\nlevel  of blocks  of all weights\n",
      summary.at("plan").get<std::string>(),
      summary.at("order") == "checkpoint" ? ", units in the checkpoint's order" : "",
      summary.at("logit_difference").get<double>());
  for (const auto& level : summary.at("levels")) {
    text += fmt::format("{:>5}  {:>9.3f}  {:>14.3f}{}\n", level.at("level").get<int>(),
                        level.at("block_ratio").get<double>(), level.at("total_ratio").get<double>(),
                        level.at("anchors_give_way").get<bool>() ? "  anchors give way" : "");
  }
  return text;
}

}  // namespace elastify
