#include "finetune/finetune.h"

#include <algorithm>

#include "base/config.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/plot.h"
#include "base/stopwatch.h"
#include "finetune/rate_trial.h"
#include "finetune/recovery_schedule.h"
#include "finetune/row_losses.h"
#include "model/shared_adapter.h"
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

// Of an int64 tensor's values.
std::string values_hash(const torch::Tensor& tensor) {
  const torch::Tensor host = tensor.to(torch::kCPU).contiguous();
  return hash_text({reinterpret_cast<const char*>(host.data_ptr<std::int64_t>()),
                    static_cast<std::size_t>(host.numel()) * sizeof(std::int64_t)});
}

// What an adapter's bits depend on. How often to save, log or time changes none of them.
std::string adapter_key(const FinetuneInput& input, const FinetuneConfig& config, const std::vector<LevelPlan>& levels,
                        const std::string& parent) {
  FinetuneConfig relevant = config;
  const FinetuneConfig defaults;
  relevant.levels.clear();
  relevant.products = product_type_name(
      parse_product_type(config.products, input.weights.embedding.device(), input.weights.config.hidden_size));
  relevant.checkpoint_seconds = defaults.checkpoint_seconds;
  json widths = json::array();
  for (const LevelPlan& plan : levels)
    widths.push_back({{"level", plan.level}, {"kv_groups", plan.widths.kv_groups}, {"neurons", plan.widths.neurons}});
  json settings = config_to_json(relevant);
  settings.erase("own_rank");  // is the rank by now, see settings_of_group()
  const json document = {{"inputs", input.key},
                         {"seed", input.seed},
                         {"parent", parent},
                         {"settings", settings},
                         {"levels", widths},
                         {"train_rows", input.train.rows()},
                         {"held_out_rows", input.held_out.rows()}};
  return hash_text(document.dump());
}

// The levels of one adapter, ascending, and its steps. Groups run in turn.
struct Group {
  std::vector<LevelPlan> levels;
  bool shared = false;  // with levels of any widths, even if it has one
  Schedule schedule;
};

// A level's share of the steps where levels take turns.
Schedule share_of_steps(const FinetuneInput& input, FinetuneConfig config, std::size_t levels, std::size_t all) {
  const std::int64_t hidden = input.weights.config.hidden_size, rows = input.train.rows(), seq = input.train.seq();
  const auto count = static_cast<std::int64_t>(levels), total = static_cast<std::int64_t>(all);
  const Schedule whole = make_schedule(config, hidden, rows, seq, count);
  if (levels == all) return whole;
  config.steps = std::max<std::int64_t>(1, whole.steps * count / total);
  return make_schedule(config, hidden, rows, seq, count);
}

std::vector<Group> groups_of(const FinetuneInput& input, const FinetuneConfig& config) {
  const std::vector<LevelPlan> wanted = wanted_levels(input, config);  // descending
  const bool one_each = config.adapters != "shared";
  std::vector<Group> groups;
  Group sharing{{}, true, {}};
  for (const LevelPlan& plan : wanted) {
    if (one_each)
      groups.push_back({{plan}, false, share_of_steps(input, config, 1, 1)});
    else if (plan.level >= config.own_from)
      groups.push_back({{plan}, false, share_of_steps(input, config, 1, wanted.size())});
    else
      sharing.levels.insert(sharing.levels.begin(), plan);
  }
  if (sharing.levels.empty()) return groups;
  sharing.schedule = share_of_steps(input, config, sharing.levels.size(), wanted.size());
  groups.push_back(std::move(sharing));
  return groups;
}

// Own adapters of another rank keep the scale.
FinetuneConfig settings_of_group(const FinetuneConfig& config, bool shared) {
  FinetuneConfig own = config;
  if (shared || config.adapters != "shared" || config.own_rank == 0) return own;
  own.rank = config.own_rank;
  own.alpha = config.alpha * static_cast<double>(config.own_rank) / static_cast<double>(config.rank);
  return own;
}

class Recovery {
 public:
  Recovery(const FinetuneInput& input, const FinetuneConfig& config)
      : input_(input), config_(config), groups_(groups_of(input, config)) {}

  FinetuneSummary run() {
    const Stopwatch watch;
    for (const Group& group : groups_) recover(group);
    std::sort(summary_.levels.begin(), summary_.levels.end(),
              [](const LevelResult& a, const LevelResult& b) { return a.level < b.level; });
    summary_.seconds = watch.seconds();
    if (trained_) summary_.tokens_per_s = static_cast<double>(summary_.tokens) / summary_.seconds;
    return summary_;
  }

 private:
  fs::path adapter_directory(const Group& group) const {
    return group.shared ? shared_adapter_directory(input_.directory)
                        : level_directory(input_.directory, group.levels[0].level);
  }

  std::optional<std::vector<LevelResult>> load_results(const Group& group, const std::string& key) const {
    std::vector<LevelResult> results;
    for (const LevelPlan& plan : group.levels) {
      const auto result = load_level_result(level_directory(input_.directory, plan.level), key);
      if (!result) return std::nullopt;
      results.push_back(*result);
    }
    return results;
  }

  void recover(const Group& group) {
    const FinetuneConfig settings = settings_of_group(config_, group.shared);
    const std::string key = adapter_key(input_, settings, group.levels, group.shared ? "" : parent_key_);
    auto results = load_results(group, key);
    if (results) {
      for (const LevelResult& result : *results) spdlog::info("finetune level {}: done before", result.level);
    } else {
      results = train(group, settings, key);
    }
    for (const LevelResult& result : *results) summary_.levels.push_back(result);
    summary_.loss_full = results->front().loss_full;
    if (group.shared || !config_.inherit || !results->front().kept) return;
    // From the file, so that a resumed run starts from the same bits.
    const auto& embedding = input_.weights.embedding;
    const auto dtype = embedding.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
    parent_ = load_adapter(adapter_directory(group), input_.weights.config, embedding.device(), dtype);
    parent_key_ = key;
  }

  std::vector<LevelResult> train(const Group& group, const FinetuneConfig& settings, const std::string& key) {
    prepare();
    trained_ = true;
    const LevelWidths widths = group.shared ? full_widths(input_.weights.config) : group.levels[0].widths;
    Schedule schedule = group.schedule;
    const AdapterTask task{group.levels,
                           widths,
                           *base_,
                           input_.train,
                           input_.held_out,
                           settings,
                           schedule,
                           teacher_ ? &*teacher_ : nullptr,
                           parent_ && !group.shared ? &*parent_ : nullptr,
                           summary_.loss_full,
                           input_.seed,
                           key,
                           adapter_directory(group),
                           input_.after_step,
                           group.shared};
    if (config_.learning_rate == 0 && config_.rate_trials) schedule.peak = chosen_rate(task);
    const auto results = train_adapter(task);
    for (const LevelResult& result : results) {
      spdlog::info("finetune level {}: held-out loss {:.4f} -> {:.4f} (full {:.4f}; the gain's standard error {:.4f})",
                   result.level, result.loss_before, result.loss_after, result.loss_full, result.gain_error);
      const fs::path directory = level_directory(input_.directory, result.level);
      fs::create_directories(directory);
      save_level_result(directory, result, key);  // it says that the level is done
    }
    remove_checkpoint(task);
    summary_.tokens += results.front().tokens;
    return results;
  }

  double chosen_rate(const AdapterTask& task) const {
    const fs::path path = input_.directory / fmt::format("rates_{:02}.json", task.seed_level());
    fs::create_directories(input_.directory);
    const double rate = best_rate(try_rates(task, rates_to_try(input_.weights.config.hidden_size), path));
    spdlog::info("finetune: learning rate {:.3g}, the best of those tried ({})", rate, path.string());
    return rate;
  }

  // The full level's losses, the teacher's part and the rounded base, for the first adapter that is not done.
  void prepare() {
    if (base_) return;
    const std::int64_t rows =
        std::max<std::int64_t>(1, config_.batch_rows / passes_of_step(config_, input_.train.seq()));
    base_ = round_weights(input_.weights, config_.base_dtype, input_.rounding, input_.wider);
    {
      const StatesAndHead full = full_states(*base_, config_, input_.held_out.seq());
      summary_.loss_full = row_losses(full.states, full.head, input_.held_out, rows, config_.workers).mean();
    }
    if (config_.loss != "distill" || config_.distill_weight == 0) return;
    std::vector<torch::Tensor> wanted;
    for (const Group& group : groups_)
      wanted.push_back(
          rows_of_training(group.levels[0].level, input_.seed, config_, group.schedule, input_.train.rows()));
    StatesAndHead full = full_states(input_.weights, config_, input_.train.seq());
    const torch::Tensor all = std::get<0>(torch::_unique2(torch::cat(wanted)));
    teacher_.emplace(TeacherTask{std::move(full.states), full.head, input_.train, all, config_.teacher_top,
                                 config_.temperature, input_.teacher, teacher_key(all)});
    summary_.teacher_seconds = teacher_->seconds();
  }

  std::string teacher_key(const torch::Tensor& rows) const {
    const json document = {{"weights", input_.weights_key},      {"top", config_.teacher_top},
                           {"temperature", config_.temperature}, {"products", config_.products},
                           {"rows", values_hash(rows)},          {"text", values_hash(input_.train.inputs)}};
    return hash_text(document.dump());
  }

  const FinetuneInput& input_;
  const FinetuneConfig& config_;
  std::vector<Group> groups_;
  FinetuneSummary summary_;
  std::optional<ModelWeights> base_;
  std::optional<Teacher> teacher_;
  std::optional<Adapter> parent_;
  std::string parent_key_;
  bool trained_ = false;
};

}  // namespace

std::vector<std::string> settings_problems(const FinetuneConfig& config, const std::vector<std::int64_t>& levels) {
  std::vector<std::string> problems;
  if (config.accumulation > 0 && config.batch_rows % config.accumulation != 0) {
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
  return Recovery(input, config).run();
}

nlohmann::json to_json(const FinetuneSummary& summary) {
  json levels = json::array();
  for (const auto& level : summary.levels) levels.push_back(to_json(level));
  return {{"loss_full", summary.loss_full}, {"teacher_seconds", summary.teacher_seconds}, {"seconds", summary.seconds},
          {"tokens", summary.tokens},       {"tokens_per_s", summary.tokens_per_s},       {"levels", levels}};
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

std::int64_t finetune_memory_bytes(const ModelWeights& weights, const LevelWidths& widths, const FinetuneConfig& config,
                                   std::int64_t seq) {
  const ModelConfig& model = weights.config;
  const std::int64_t passes = passes_of_step(config, seq), tokens = config.batch_rows / passes * seq;
  const std::int64_t element = static_cast<std::int64_t>(weights.embedding.element_size());
  const std::int64_t blocks = model.num_layers * model.weights_per_block();
  const std::int64_t rank = std::max(config.rank, config.own_rank);
  std::int64_t per_token = 0, adapter = 0;
  const bool fast = written_out_pass(config, weights, seq);
  const std::int64_t half = fast ? 2 : element, states = fast ? 4 : element;
  // One piece of logits, which become their own gradient (loss_head.h).
  const std::int64_t logits = half * model.vocab_size * std::min(tokens, logit_rows_at_once(model.vocab_size));
  for (std::size_t layer = 0; layer < widths.neurons.size(); ++layer) {
    const std::int64_t groups = widths.kv_groups[layer], neurons = widths.neurons[layer], hidden = model.hidden_size;
    const std::int64_t queries = groups * model.group_width(), keys = groups * model.head_dim;
    if (groups > 0) adapter += rank * (4 * hidden + 2 * queries + 2 * keys);  // empty halves have none
    if (neurons > 0) adapter += rank * (3 * hidden + 3 * neurons);
    // Kept for the backward pass: the residual stream before both halves, queries, keys, values, what attention gives,
    // both sides of the gated MLP; by autograd also norms, copies before rotation and products' inputs.
    per_token += fast ? 2 * states * hidden + half * (2 * queries + 2 * keys + 2 * neurons)
                      : element * (6 * hidden + 4 * queries + 4 * keys + 5 * neurons);
  }
  const std::int64_t workers = std::min(config.workers, passes);
  const std::int64_t copies = (fast ? 2 * (blocks + model.vocab_size * model.hidden_size) : 0) +
                              (config.base_dtype == "f32" ? 0 : element * blocks);
  return (blocks + model.weights_outside_blocks()) * element + copies + logits * workers +
         tokens * per_token * workers + adapter * 6 * 4;  // values, gradients, two moments, the best, its rounded copy
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
