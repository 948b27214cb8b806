#include "finetune/finetune.h"

#include <algorithm>

#include "base/config.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/plot.h"
#include "base/stopwatch.h"
#include "finetune/recovery_schedule.h"
#include "model/side_by_side.h"
#include "quantise/rounded_weights.h"

namespace elastify {
namespace {

void check_input(const FinetuneInput& input, const FinetuneConfig& config) {
  std::vector<std::int64_t> levels;
  for (const LevelPlan& plan : input.levels) levels.push_back(plan.level);
  throw_config_problems("finetune", settings_problems(config, levels));
  if (input.train.rows() == 0 || input.held_out.rows() == 0) {
    fail_data("finetune: expected training and held-out text, found {} and {} rows", input.train.rows(),
              input.held_out.rows());
  }
}

std::vector<LevelPlan> wanted_levels(const FinetuneInput& input, const FinetuneConfig& config) {
  std::vector<LevelPlan> wanted;
  for (const LevelPlan& plan : input.levels) {
    const bool named = std::find(config.levels.begin(), config.levels.end(), plan.level) != config.levels.end();
    if (plan.level < 100 && (config.levels.empty() || named)) wanted.push_back(plan);
  }
  std::sort(wanted.begin(), wanted.end(), [](const LevelPlan& a, const LevelPlan& b) { return a.level > b.level; });
  return wanted;
}

// What a level's bits depend on. How often to save, log or time changes none of them.
std::string level_key(const FinetuneInput& input, const FinetuneConfig& config, const LevelPlan& plan,
                      const std::string& parent) {
  FinetuneConfig relevant = config;
  const FinetuneConfig defaults;
  relevant.levels.clear();
  relevant.products = product_type_name(
      parse_product_type(config.products, input.weights.embedding.device(), input.weights.config.hidden_size));
  relevant.checkpoint_seconds = defaults.checkpoint_seconds;
  const json document = {{"inputs", input.key},
                         {"seed", input.seed},
                         {"parent", parent},
                         {"settings", config_to_json(relevant)},
                         {"kv_groups", plan.widths.kv_groups},
                         {"neurons", plan.widths.neurons},
                         {"level", plan.level},
                         {"train_rows", input.train.rows()},
                         {"held_out_rows", input.held_out.rows()}};
  return hash_text(document.dump());
}

}  // namespace

std::vector<std::string> settings_problems(const FinetuneConfig& config, const std::vector<std::int64_t>& levels) {
  std::vector<std::string> problems;
  if (config.batch_rows % config.accumulation != 0) {
    problems.push_back(fmt::format("accumulation: expected a divisor of batch_rows ({}), found {}", config.batch_rows,
                                   config.accumulation));
  }
  if (config.workers > 1 && config.dropout > 0) {
    problems.push_back("workers: expected 1 with dropout, whose masks come from one generator, found " +
                       std::to_string(config.workers));
  }
  if (config.targets.empty())
    problems.push_back("targets: expected at least one of q, k, v, o, gate, up, down, found none");
  for (const auto& target : config.targets) {
    if (std::find(kTargetNames.begin(), kTargetNames.end(), target) == kTargetNames.end())
      problems.push_back(fmt::format("targets: expected q, k, v, o, gate, up or down, found \"{}\"", target));
  }
  for (const std::int64_t level : config.levels) {
    if (std::count(levels.begin(), levels.end(), level) == 0)
      problems.push_back(fmt::format("levels: the plan has no level {}", level));
  }
  return problems;
}

FinetuneSummary finetune(const FinetuneInput& input, const FinetuneConfig& config) {
  check_input(input, config);
  const SharedThreads threads(config.workers);
  const Stopwatch watch;
  const std::vector<LevelPlan> wanted = wanted_levels(input, config);
  const Schedule schedule = make_schedule(config, input.weights.config.hidden_size, input.train.rows());
  const Decoder full(input.weights);
  FinetuneSummary summary;
  std::optional<ModelWeights> base;  // made with the teacher, for the first level that is not done
  std::optional<Teacher> teacher;
  std::optional<Adapter> parent;
  std::string parent_key;
  for (const LevelPlan& plan : wanted) {
    const fs::path directory = level_directory(input.directory, plan.level);
    const std::string key = level_key(input, config, plan, parent_key);
    std::optional<LevelResult> result = load_level_result(directory, key);
    if (result) {
      spdlog::info("finetune level {}: done before", plan.level);
    } else {
      if (!teacher) {
        spdlog::info("finetune: {} levels, {} rows of {} tokens", wanted.size(), input.train.rows(), input.train.seq());
        base = round_weights(input.weights, config.base_dtype);
        summary.loss_full =
            mean_loss(Decoder(*base), nullptr, input.held_out, config.batch_rows / config.accumulation, config.workers);
        teacher.emplace(full, input.train, config.loss == "distill" ? config.teacher_cache_mib << 20 : 0,
                        config.workers);
        summary.teacher_cache_seconds = teacher->cache_seconds();
      }
      result = train_level({plan, *base, input.train, input.held_out, config, schedule, &*teacher,
                            config.inherit && parent ? &*parent : nullptr, summary.loss_full, input.seed, key,
                            directory, input.after_step});
      spdlog::info("finetune level {}: held-out loss {:.4f} -> {:.4f} (full {:.4f}), {} steps, {}", plan.level,
                   result->loss_before, result->loss_after, result->loss_full, result->steps_run,
                   format_duration(result->seconds));
    }
    summary.loss_full = result->loss_full;
    if (config.inherit && result->kept) {  // from the file, so that a resumed run starts from the same bits
      const auto& embedding = input.weights.embedding;
      const auto dtype = embedding.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
      parent = load_adapter(directory, input.weights.config, embedding.device(), dtype);
      parent_key = key;
    }
    summary.levels.push_back(*result);
  }
  std::reverse(summary.levels.begin(), summary.levels.end());
  summary.seconds = watch.seconds();
  return summary;
}

nlohmann::json to_json(const FinetuneSummary& summary) {
  json levels = json::array();
  for (const auto& level : summary.levels) levels.push_back(to_json(level));
  return {{"loss_full", summary.loss_full},
          {"teacher_cache_seconds", summary.teacher_cache_seconds},
          {"seconds", summary.seconds},
          {"levels", levels}};
}

void save_finetune_summary(const fs::path& json_path, const FinetuneSummary& summary) {
  write_json(json_path, to_json(summary));
  Series before{"before recovery", {}, {}}, after{"after recovery", {}, {}}, full{"full level", {}, {}};
  for (const auto& level : summary.levels) {
    for (Series* series : {&before, &after, &full}) series->x.push_back(static_cast<double>(level.level));
    before.y.push_back(level.loss_before);
    after.y.push_back(level.kept ? level.loss_after : level.loss_before);
    full.y.push_back(level.loss_full);
  }
  draw_plot(fs::path(json_path).replace_extension(".svg"), {"Recovery",
                                                            "level, percent of the blocks' weights",
                                                            "held-out loss, nats per token",
                                                            false,
                                                            false,
                                                            {before, after, full}});
}

std::int64_t finetune_memory_bytes(const ModelConfig& model, const LevelWidths& widths, const FinetuneConfig& config,
                                   std::int64_t train_rows, std::int64_t seq, std::int64_t element_bytes) {
  const std::int64_t tokens =
      config.batch_rows / config.accumulation * seq * std::min(config.workers, config.accumulation);
  const std::int64_t blocks = model.num_layers * model.weights_per_block();
  const std::int64_t weights =
      model.weights_outside_blocks() +
      (config.base_dtype == "f32" ? 1 : 2) * blocks;                       // rounded blocks stand next to the teacher's
  std::int64_t adapter = 0, activations = 11 * tokens * model.vocab_size;  // logits of both, probabilities, gradients
  for (std::size_t layer = 0; layer < widths.neurons.size(); ++layer) {
    const std::int64_t groups = widths.kv_groups[layer], neurons = widths.neurons[layer], hidden = model.hidden_size;
    const std::int64_t queries = groups * model.group_width(), keys = groups * model.head_dim;
    if (groups > 0) adapter += config.rank * (4 * hidden + 2 * queries + 2 * keys);  // empty halves have none
    if (neurons > 0) adapter += config.rank * (3 * hidden + 3 * neurons);
    // Kept for the backward pass: residual and norm, projections before and after rotation, scores twice, the gated
    // MLP.
    activations +=
        tokens * (6 * hidden + 4 * queries + 4 * keys + 2 * groups * model.queries_per_group() * seq + 5 * neurons);
  }
  std::int64_t cache = train_rows * seq * model.hidden_size * element_bytes;
  if (config.loss != "distill" || cache > config.teacher_cache_mib << 20) cache = 0;
  return (weights + activations) * element_bytes + cache + adapter * 5 * 4;  // values, gradients, two moments, the best
}

torch::ScalarType finetune_dtype(const std::string& name, torch::Device device) {
  if (name == "float64") return torch::kFloat64;
  if (name == "bfloat16") return torch::kBFloat16;
  if (name == "float32" || !device.is_cuda()) return torch::kFloat32;
  try {
    const auto probe = torch::ones({8, 8}, torch::TensorOptions().device(device).dtype(torch::kBFloat16));
    return probe.mm(probe).sum().item<float>() == 512 ? torch::kBFloat16 : torch::kFloat32;
  } catch (const c10::Error&) {
    return torch::kFloat32;
  }
}

}  // namespace elastify
