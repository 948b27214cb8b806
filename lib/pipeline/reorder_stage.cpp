#include "pipeline/stages.h"

#include <ATen/CPUGeneratorImpl.h>

#include "base/error.h"
#include "base/hash.h"
#include "pipeline/stage_parts.h"
#include "pipeline/state_memory.h"
#include "pipeline/text_source.h"
#include "profile/anchor.h"
#include "profile/score_store.h"
#include "reorder/cached_loss.h"
#include "reorder/make_plan.h"
#include "reorder/measured_plan.h"
#include "reorder/reorder.h"
#include "tokenizer/special.h"

namespace elastify {
namespace {

// Scores in the new order, as make_plan() wants them.
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

// Of a weight of the blocks' matrices in the artifact, for what a cut saves.
double bytes_per_weight(const std::string& dtype) {
  if (dtype == "f32") return 4;
  if (dtype == "f16") return 2;
  return dtype == "q8_0" ? 34.0 / 32 : 18.0 / 32;
}

// Rows from all over the calibration text: its first documents alone are a narrow judge of what may leave.
TokenRows rows_from_everywhere(const StageContext& context, const Checkpoint& checkpoint, std::int64_t tokens) {
  const TokenRows all = calibration_rows(context, checkpoint, 0);
  const std::int64_t count = std::min(all.rows(), (tokens + all.seq() - 1) / all.seq());
  auto generator = at::detail::createCPUGenerator(derive_seed(context.seed(), "measured plan", 0));
  const torch::Tensor chosen = std::get<0>(torch::randperm(all.rows(), generator).narrow(0, 0, count).sort());
  return {all.inputs.index_select(0, chosen), all.targets.index_select(0, chosen)};
}

constexpr const char* kCutsFile = "plan_cuts.json";  // next to the plan, with its chart

// The plan of the checkpoint whose units were just sorted, and the trace of its cuts.
ElasticPlan plan_by_measurement(const StageContext& context, const Checkpoint& checkpoint,
                                const Checkpoint& reordered) {
  const PlanConfig& settings = context.config.reorder;
  const MeasuredConfig& config = settings.measured;
  const ModelConfig& model = reordered.config();
  const RemovalRule rule = removal_rule(model, config, settings.levels, settings.neuron_multiple,
                                        bytes_per_weight(context.config.pack.dtype));
  const ProductType products = parse_product_type(config.products, context.device, model.hidden_size);
  const TokenRows rows = rows_from_everywhere(context, checkpoint, config.tokens);
  const double weights = 4 * static_cast<double>(model.num_layers * model.weights_per_block());
  state_memory(context, "reorder",
               mapped_bytes(reordered) + weights + 4 * static_cast<double>(model.weights_outside_blocks()) +
                   cached_loss_bytes(model, rows.rows() * rows.seq(), config.batch_rows, rows.seq(), products));
  const MeasuredPlan measured =
      measure_plan(load_weights(reordered, context.device, torch::kFloat32), rows, config, rule, products,
                   {context.work / "losses.safetensors", context.key, 30, {}});
  const fs::path cuts = context.run.file(kCutsFile);
  write_json(cuts, measured_plan_to_json(measured, model, config, rule));
  draw_plot(fs::path(cuts).replace_extension(".svg"), measured_plan_chart(measured, model));
  return measured.plan;
}

ElasticPlan plan_by_importance(const StageContext& context, const ModelConfig& model, const UnitScores& scores) {
  const AnchorsResult anchors = load_anchors(context.run.file("anchors.json"), model.num_layers);
  for (const char* extension : {".json", ".svg"}) {  // of a measured plan that stood here before
    std::error_code ignored;
    fs::remove(fs::path(context.run.file(kCutsFile)).replace_extension(extension), ignored);
  }
  return make_plan(model, anchors.anchors, sort_scores(scores), context.config.reorder);
}

}  // namespace

json run_reorder(const StageContext& context) {
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  const Profile profile = load_profile(context.run.file("profile.h5"), checkpoint.config());
  AtomicDirectory directory(context.run.file("reordered"));
  write_reordered(checkpoint, order_by_importance(profile.scores.groups, profile.scores.neurons), directory.path());
  for (const auto& file : tokenizer_files(tokenizer_path(context.config, checkpoint))) {
    fs::copy_file(file, directory.path() / file.filename(), fs::copy_options::overwrite_existing);
  }
  const fs::path config_file = directory.path() / "config.json";
  json config = read_json(config_file);
  write_text_ends(load_tokenizer_spec(context.config, checkpoint), config);
  write_json(config_file, config);
  const Checkpoint reordered = Checkpoint::open(directory.path());
  const double difference = prove_equal(checkpoint, reordered, context.seed());
  const ElasticPlan plan = context.config.reorder.kind == "measured"
                               ? plan_by_measurement(context, checkpoint, reordered)
                               : plan_by_importance(context, checkpoint.config(), profile.scores);
  directory.commit();
  save_plan(context.run.file("plan.json"), plan);
  json levels = json::array();
  for (const auto& level : plan.levels) {
    levels.push_back({{"level", level.level},
                      {"block_ratio", level.block_ratio},
                      {"total_ratio", level.total_ratio},
                      {"anchors_give_way", level.anchors_give_way}});
  }
  return {{"plan", plan.kind}, {"anchors", plan.anchors}, {"logit_difference", difference}, {"levels", levels}};
}

std::string describe_reorder(const json& summary) {
  std::string text =
      fmt::format("plan {}; logits differ from the checkpoint's by {:.1e} relative\nlevel  of blocks  of all weights\n",
                  summary.at("plan").get<std::string>(), summary.at("logit_difference").get<double>());
  for (const auto& level : summary.at("levels")) {
    text += fmt::format("{:>5}  {:>9.3f}  {:>14.3f}{}\n", level.at("level").get<int>(),
                        level.at("block_ratio").get<double>(), level.at("total_ratio").get<double>(),
                        level.at("anchors_give_way").get<bool>() ? "  anchors give way" : "");
  }
  return text;
}

}  // namespace elastify
