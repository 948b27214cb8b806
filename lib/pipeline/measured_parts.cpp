#include "pipeline/measured_parts.h"

#include <ATen/CPUGeneratorImpl.h>

#include "base/hash.h"
#include "base/log.h"
#include "pipeline/stage_parts.h"
#include "pipeline/state_memory.h"
#include "reorder/cached_loss.h"
#include "reorder/measured_plan.h"

namespace elastify {
namespace {

// Of a weight of the blocks' matrices in the artifact, for what a cut saves.
double bytes_per_weight(const std::string& dtype) {
  if (dtype == "f32") return 4;
  if (dtype == "f16" || dtype == "bf16") return 2;
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

// What losses are measured with.
struct Scale {
  TokenRows rows;
  ProductType products;
  ModelWeights weights;
};

Scale load_scale(const StageContext& context, const Checkpoint& checkpoint, const Checkpoint& reordered) {
  const MeasuredConfig& config = context.config.reorder.measured;
  const ModelConfig& model = reordered.config();
  const TokenRows rows = rows_from_everywhere(context, checkpoint, config.tokens);
  const ProductType products = parse_product_type(config.products, context.device, model.hidden_size);
  // Weights of type float32 are views of the file, whose pages the proof of the reordering has just read.
  const double floats =
      static_cast<double>(model.num_layers * model.weights_per_block() + model.weights_outside_blocks());
  const double weights = model.dtype == "float32" ? 0 : 4 * floats;
  state_memory(context, "reorder",
               mapped_bytes(reordered) + weights +
                   cached_loss_bytes(model, rows.rows() * rows.seq(), config.batch_rows, rows.seq(), products));
  return {rows, products, load_weights(reordered, context.device, torch::kFloat32)};
}

}  // namespace

ElasticPlan plan_by_measurement(const StageContext& context, const Checkpoint& checkpoint,
                                const Checkpoint& reordered) {
  const PlanConfig& settings = context.config.reorder;
  const MeasuredConfig& config = settings.measured;
  const ModelConfig& model = reordered.config();
  const RemovalRule rule = removal_rule(model, config, settings.levels, settings.neuron_multiple,
                                        bytes_per_weight(context.config.pack.dtype));
  const Scale scale = load_scale(context, checkpoint, reordered);
  const MeasuredPlan measured = measure_plan(scale.weights, scale.rows, config, rule, scale.products,
                                             {context.work / "losses.safetensors", context.key, 30, {}});
  const fs::path cuts = context.run.file(kCutsFile);
  write_json(cuts, measured_plan_to_json(measured, model, config, rule));
  draw_plot(fs::path(cuts).replace_extension(".svg"), measured_plan_chart(measured, model, config));
  return measured.plan;
}

void remove_measured_cuts(const StageContext& context) {
  for (const char* extension : {".json", ".svg"}) {
    std::error_code ignored;
    fs::remove(fs::path(context.run.file(kCutsFile)).replace_extension(extension), ignored);
  }
}

std::vector<std::int64_t> judge_anchors(const StageContext& context, const Checkpoint& checkpoint,
                                        const Checkpoint& reordered, const AnchorsResult& anchors,
                                        const SortedScores& scores) {
  const PlanConfig& settings = context.config.reorder;
  const Scale scale = load_scale(context, checkpoint, reordered);
  CachedLoss meter(scale.weights, scale.rows, settings.measured.batch_rows, scale.products);
  std::vector<std::int64_t> best;
  double least = 0;
  for (std::size_t count = 0; count <= anchors.anchors.size(); ++count) {
    const auto chosen = choose_anchors(anchors.loss_increase, static_cast<std::int64_t>(count));
    const LevelWidths widths =
        make_plan(reordered.config(), chosen, scores, settings).at(settings.anchors_judged_at).widths;
    for (std::size_t layer = 0; layer < widths.neurons.size(); ++layer)
      meter.take(static_cast<std::int64_t>(layer), widths.kv_groups[layer], widths.neurons[layer]);
    const double loss = meter.loss();
    spdlog::info("reorder: level {} with {} anchors: loss {:.4f}", settings.anchors_judged_at, count, loss);
    if (count == 0 || loss < least) {
      least = loss;
      best = chosen;
    }
  }
  return best;
}

}  // namespace elastify
