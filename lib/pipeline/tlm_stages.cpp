#include "pipeline/tlm_stages.h"

#include <elrt/artifact.hpp>
#include <elrt/tlm.hpp>

#include <algorithm>
#include <map>
#include <random>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/plot.h"
#include "eval/runtime_result.h"
#include "label/comparison.h"
#include "label/task_sets.h"
#include "tlm/dual_head_file.h"
#include "tlm/prompt_scorer.h"
#include "tlm/score_training.h"
#include "tlm/tlm_checkpoint.h"
#include "tlm/word_pieces.h"

namespace elastify {
namespace {

std::string answered_text(const TaskItem& task) {
  return task_prompt(task) + option_behind_prompt(task.options[task.answer]);
}

std::vector<std::string> answered_texts(const std::vector<TaskItem>& tasks) {
  std::vector<std::string> texts;
  for (const auto& task : tasks) texts.push_back(answered_text(task));
  return texts;
}

// As set, as it lies next to the checkpoint, or learned.
std::string make_vocabulary(const TlmSettings& settings, const std::vector<std::string>& texts) {
  if (!settings.vocabulary.empty()) return read_file(settings.vocabulary);
  if (!settings.body.empty()) return read_file(fs::path(settings.body) / "vocab.txt");
  return vocabulary_text(learn_word_pieces(texts, settings.size.vocab_size));
}

DualHeadConfig head_settings(const PipelineConfig& config, const elrt::Artifact& artifact) {
  DualHeadConfig heads = config.tlm.model.heads;
  heads.prompt_levels = config.label.prompt_levels;
  heads.model_levels = config.label.model_levels;
  if (heads.model_levels.empty()) {
    for (const auto& level : artifact.levels()) heads.model_levels.push_back(level.level);
  }
  for (const std::int64_t level : heads.model_levels) take(artifact.level(static_cast<std::uint32_t>(level)));
  return heads;
}

// What the heads are trained from.
struct Start {
  DualHead model;
  TlmTrainResult masked;
  bool pretrained = false;  // from `tlm.body`: the bottom stays as it came
};

std::vector<LabelledRow> plain_rows(const std::vector<TaskItem>& tasks, const elrt::WordPiece& vocabulary,
                                    std::int64_t max_positions) {
  std::vector<LabelledRow> rows;
  for (const auto& task : tasks) {
    const auto pieces = encode_words(vocabulary, answered_text(task), question_span(task));
    auto part = labelled_rows(vocabulary, pieces, {}, std::nullopt, max_positions);
    std::move(part.begin(), part.end(), std::back_inserter(rows));
  }
  return rows;
}

Start make_start(const StageContext& context, const elrt::WordPiece& vocabulary, const std::vector<TaskItem>& tasks,
                 const DualHeadConfig& heads) {
  const TlmSettings& settings = context.config.tlm.model;
  if (settings.body.empty()) {
    const TlmConfig shape = settings.size.resolve(vocabulary.vocab_size());
    Start start;
    const auto rows = plain_rows(tasks, vocabulary, shape.max_positions);
    const TlmBody body = train_body(shape, settings, rows, vocabulary.mask_id(), context.device, context.seed(),
                                    context.work, start.masked);
    start.model = make_dual_head(body, heads, context.seed());
    return start;
  }
  DualHead model =
      is_dual_head(settings.body)
          ? with_levels_of(read_dual_head(settings.body, context.device, torch::kFloat32), heads, context.seed())
          : make_dual_head(read_tlm_checkpoint(settings.body, context.device, torch::kFloat32).body, heads,
                           context.seed());
  if (model.body.vocab_size != vocabulary.vocab_size()) {
    fail_data("{}: the vocabulary has {} tokens, the checkpoint {}", settings.body, vocabulary.vocab_size(),
              model.body.vocab_size);
  }
  return {std::move(model), {}, true};
}

double retained_share(const std::vector<LabelledRow>& rows) {
  double retained = 0, labelled = 0;
  for (const auto& row : rows) {
    retained += static_cast<double>(std::count(row.labels.begin(), row.labels.end(), 1));
    labelled += static_cast<double>(
        std::count_if(row.labels.begin(), row.labels.end(), [](std::int64_t label) { return label >= 0; }));
  }
  return labelled > 0 ? retained / labelled : 0;
}

// What the TLM adds to the full model's prefill, in multiply-adds.
json cost_table(const DualHead& model, const elrt::Artifact& artifact) {
  const elrt::ModelShape& s = artifact.shape();
  double weights = 0;
  for (const auto& tensor : artifact.tensors()) {
    const bool block =
        tensor.name.starts_with("blk.") && tensor.dims.size() > 1 && tensor.name.find("lora") == std::string::npos;
    double count = block ? 1 : 0;
    for (const std::uint64_t extent : tensor.dims) count *= static_cast<double>(extent);
    weights += count;
  }
  json table = json::array();
  for (const std::int64_t tokens : {128, 256, 512}) {
    const auto n = static_cast<double>(tokens);
    const double full =
        n * (weights + s.blocks * n * s.heads * s.head_dim);  // causal: half of all pairs, scores and values
    const TlmCost cost = tlm_cost(model, tokens);
    table.push_back({{"tokens", tokens}, {"decision_share", cost.decision / full}, {"score_share", cost.score / full}});
  }
  return table;
}

}  // namespace

json run_train_score(const StageContext& context) {
  const PipelineConfig& config = context.config;
  const TlmStageConfig& settings = config.tlm;
  const fs::path artifact_path = context.run.file(kBaseArtifact);
  const elrt::Artifact artifact = take(elrt::Artifact::open(artifact_path));
  const auto tasks = read_own_tasks(config.label.train);
  const auto body_tasks = choose_tasks(tasks, TaskHalf::kFirst, 0);
  const std::string vocabulary_file = make_vocabulary(settings.model, answered_texts(body_tasks));
  const elrt::WordPiece vocabulary = take(elrt::WordPiece::from_vocabulary_text(vocabulary_file));
  Start start = make_start(context, vocabulary, body_tasks, head_settings(config, artifact));
  DualHead& model = start.model;

  const SloIds slo = model.slo.ids(1, 1);
  const fs::path kept = context.work / "word-labels.json";
  std::vector<LabelledRow> rows;
  if (fs::exists(kept)) {
    rows = read_rows(kept);
  } else if (settings.pairs.empty()) {
    rows = induced_rows(choose_tasks(tasks, TaskHalf::kFirst, settings.word_items), vocabulary, artifact_path, settings,
                        slo, config.threads);
    keep_rows(rows, kept);
  } else {
    rows = pair_rows(settings.pairs, vocabulary, slo, model.body.max_positions);
  }
  const ScoreTraining trained =
      train_score_head(model, settings.model, !start.pretrained, rows, context.seed(), context.work);
  AtomicDirectory directory(context.run.file("score"));
  write_tlm(model, vocabulary_file, directory.path());
  directory.commit();
  return {{"vocabulary", vocabulary.vocab_size()},
          {"labels", settings.pairs.empty() ? "induced" : "pairs"},
          {"rows", rows.size()},
          {"retained_share", retained_share(rows)},
          {"masked_losses", start.masked.losses},
          {"joint_losses", trained.joint.losses},
          {"score_losses", trained.score.losses},
          {"cost", cost_table(model, artifact)}};
}

json run_label(const StageContext& context) {
  const LabelConfig& config = context.config.label;
  if (!fs::exists(context.work / "plan.json")) {
    const Tlm tlm = read_tlm(context.run.file("score"), torch::kCPU);
    LabelTasks prepared = prepare_tasks(config, tlm.model, tlm.vocabulary);
    prepare_label_work(context.work,
                       {context.run.file(kBaseArtifact), tlm.model.settings.model_levels, config.prompt_levels,
                        prepared.families, config.chunk_tasks},
                       prepared.tasks);
  }
  run_label_work(context.work, context.config.threads);
  const OutcomeTable table = collect_label_work(context.work);
  save_outcomes(context.run.file("labels.h5"), table);
  json accuracy = json::object();
  for (std::size_t s = 0; s < kTaskSplits.size(); ++s) {
    const torch::Tensor rows = table.rows(static_cast<TaskSplit>(s));
    if (rows.numel() == 0) continue;
    const torch::Tensor right = table.right().index_select(0, rows);
    accuracy[kTaskSplits[s]] = {{"tasks", rows.numel()},
                                {"full", right.select(1, -1).select(1, -1).to(torch::kFloat64).mean().item<double>()},
                                {"any", right.flatten(1).any(1).to(torch::kFloat64).mean().item<double>()}};
  }
  return {{"tasks", table.tasks()}, {"decisions", table.chosen.size(1) * table.chosen.size(2)}, {"accuracy", accuracy}};
}

json help_label(const fs::path& run_dir, std::int64_t threads) {
  const fs::path all = run_dir / ".stages" / "label.work";
  if (fs::exists(all)) {
    for (const auto& entry : fs::directory_iterator(all)) {
      if (!fs::exists(entry.path() / "plan.json")) continue;
      run_label_work(entry.path(), threads);
      return {{"helped", entry.path().filename().string()}};
    }
  }
  fail_usage("{} has no label stage under way: start elastify label there first", run_dir.string());
}

namespace {

elrt::LatencyTable load_latency(const PipelineConfig& config, const elrt::Artifact& artifact) {
  if (config.tlm.latency_table.empty()) return synthetic_latency(artifact);
  return with_tlm_latency(take(elrt::LatencyTable::read(config.tlm.latency_table)));
}

std::vector<TaskItem> labelled_tasks(const LabelConfig& config, const OutcomeTable& table) {
  std::map<std::int64_t, TaskItem> by_checksum;
  for (const auto* paths : {&config.train, &config.validation, &config.test}) {
    for (auto& task : read_own_tasks(*paths)) {
      const std::int64_t checksum = task_checksum(task);
      by_checksum.emplace(checksum, std::move(task));
    }
  }
  std::vector<TaskItem> tasks;
  for (std::int64_t i = 0; i < table.tasks(); ++i) {
    const auto found = by_checksum.find(table.task[i].item<std::int64_t>());
    if (found == by_checksum.end())
      fail_data("labels.h5 names a task that the task files do not have: run the label stage again");
    tasks.push_back(found->second);
  }
  return tasks;
}

std::vector<TlmRow> decision_rows(const std::vector<TaskItem>& tasks, const Tlm& tlm) {
  std::vector<TlmRow> rows;
  const auto room = static_cast<std::size_t>(tlm.model.body.max_positions - kRowTokens);
  for (const auto& task : tasks) {
    const auto pieces = word_prompt(task, tlm.vocabulary).pieces;
    rows.push_back(make_row(tlm.vocabulary, elrt::decision_pieces(pieces.tokens, room), tlm.model.slo.ids(1, 1)));
  }
  return rows;
}

}  // namespace

namespace {

// [[share of right answers per prompt level] per model level] over train and validation: what the runtime's fallback
// goes by.
json expected_accuracy(const OutcomeTable& table) {
  const torch::Tensor known = (table.split != static_cast<std::int64_t>(TaskSplit::kTest)).nonzero().squeeze(1);
  const torch::Tensor share = table.right().index_select(0, known).to(torch::kFloat64).mean(0);
  json rows = json::array();
  for (std::int64_t m = 0; m < share.size(0); ++m) {
    json row = json::array();
    for (std::int64_t p = 0; p < share.size(1); ++p) row.push_back(share[m][p].item<double>());
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

json run_train_tlm(const StageContext& context) {
  const PipelineConfig& config = context.config;
  const elrt::Artifact artifact = take(elrt::Artifact::open(context.run.file(kBaseArtifact)));
  const elrt::LatencyTable latency = load_latency(config, artifact);
  const OutcomeTable table = load_outcomes(context.run.file("labels.h5"));
  Tlm tlm = read_tlm(context.run.file("score"), context.device);
  const DecisionSpace space(table, latency, true);
  const DecisionData data{space, decision_rows(labelled_tasks(config.label, table), tlm)};
  const DecisionTraining trained =
      train_decision_head(tlm.model, config.tlm.model, config.tlm.decisions, data, context.seed());
  AtomicDirectory directory(context.run.file("tlm"));
  write_tlm(tlm.model, read_file(context.run.file("score") / "vocab.txt"), directory.path());
  write_json(directory.path() / "accuracy.json", expected_accuracy(table));
  directory.commit();
  if (auto done = latency.write(context.run.file(kLatencyFile)); !done) fail_with(done.failure());
  return {{"losses", trained.losses.losses},
          {"best_step", trained.best_step},
          {"validation_accuracy", trained.validation_accuracy},
          {"label_default_share", trained.label_default_share},
          {"latency_table", config.tlm.latency_table.empty() ? "synthetic" : config.tlm.latency_table}};
}

namespace {

// How words are ranked where accuracy is compared by prompt level.
const std::vector<std::string> kRankings = {"score-head", "random words", "last words", "gold relevance"};

std::vector<float> rank_words(const std::string& ranking, const TaskItem& task, const WordedPrompt& prompt,
                              std::uint64_t seed) {
  std::mt19937_64 random(derive_seed(seed, ranking + task.id));
  std::vector<float> scores;
  for (std::size_t w = 0; w < prompt.pieces.words.size(); ++w) {
    const auto& word = prompt.pieces.words[w];
    const auto relevant = [&](const ByteSpan& span) { return word.begin < span.end && word.end > span.begin; };
    const float draw = static_cast<float>(random() >> 40) / static_cast<float>(1 << 24);
    if (ranking == "last words")
      scores.push_back(static_cast<float>(w));
    else if (ranking == "gold relevance" && std::any_of(task.relevant.begin(), task.relevant.end(), relevant))
      scores.push_back(1 + draw);
    else
      scores.push_back(draw);
  }
  return scores;
}

// Accuracy of the full model by prompt level, of prompts compressed otherwise than by the score-head: [levels].
std::vector<double> accuracy_by_level(const StageContext& context, const std::string& ranking,
                                      const std::vector<TaskItem>& tasks, const elrt::WordPiece& vocabulary) {
  const LabelConfig& config = context.config.label;
  std::vector<PreparedTask> prepared;
  for (const auto& task : tasks) {
    const WordedPrompt prompt = word_prompt(task, vocabulary);
    PreparedTask one;
    one.options = task.options;
    one.answer = task.answer;
    compress_levels(one, prompt, rank_words(ranking, task, prompt, context.seed()), config.prompt_levels);
    prepared.push_back(std::move(one));
  }
  const fs::path work = context.work / ranking;
  fs::create_directories(work);
  prepare_label_work(work, {context.run.file(kBaseArtifact), {100}, config.prompt_levels, {"all"}, config.chunk_tasks},
                     prepared);
  run_label_work(work, context.config.threads);
  const torch::Tensor shares = collect_label_work(work).right().select(1, -1).to(torch::kFloat64).mean(0);
  return {shares.data_ptr<double>(), shares.data_ptr<double>() + shares.numel()};
}

json compare_compression(const StageContext& context, const OutcomeTable& table, const std::vector<TaskItem>& tasks,
                         const elrt::WordPiece& vocabulary) {
  const torch::Tensor rows = table.rows(TaskSplit::kTest);
  std::vector<TaskItem> asked;
  for (std::int64_t i = 0; i < rows.numel(); ++i)
    asked.push_back(tasks[static_cast<std::size_t>(rows[i].item<std::int64_t>())]);
  json result = {{"prompt_levels", table.prompt_levels}, {"tasks", rows.numel()}};
  Plot plot{"Answers by share of the prompt's words, full model",
            "prompt level, percent",
            "accuracy, percent",
            false,
            false,
            {}};
  for (const auto& ranking : kRankings) {
    std::vector<double> accuracy;
    if (ranking == "score-head") {
      const torch::Tensor shares = table.right().index_select(0, rows).select(1, -1).to(torch::kFloat64).mean(0);
      accuracy.assign(shares.data_ptr<double>(), shares.data_ptr<double>() + shares.numel());
    } else {
      accuracy = accuracy_by_level(context, ranking, asked, vocabulary);
    }
    result[ranking] = accuracy;
    Series series{ranking, {}, {}};
    for (std::size_t p = 0; p < accuracy.size(); ++p) {
      series.x.push_back(static_cast<double>(table.prompt_levels[p]));
      series.y.push_back(100 * accuracy[p]);
    }
    plot.series.push_back(std::move(series));
  }
  draw_plot(context.run.file("compression.svg"), plot);
  return result;
}

}  // namespace

json run_compare(const StageContext& context) {
  const OutcomeTable table = load_outcomes(context.run.file("labels.h5"));
  const Tlm tlm = read_tlm(context.run.file("tlm"), context.device);
  const elrt::LatencyTable latency = take(elrt::LatencyTable::read(context.run.file(kLatencyFile)));
  const auto tasks = labelled_tasks(context.config.label, table);
  const DecisionSpace with_tlm(table, latency, true), without_tlm(table, latency, false);
  json result = {
      {"decisions", compare_decisions(tlm.model, {with_tlm, decision_rows(tasks, tlm)}, without_tlm, TaskSplit::kTest)},
      {"compression", compare_compression(context, table, tasks, tlm.vocabulary)}};
  for (const auto& policy : kPolicies)
    draw_heat_map(context.run.file("comparison_" + policy + ".svg"), comparison_map(result["decisions"], policy));
  write_json(context.run.file("comparison.json"), result);
  return result;
}

std::string format_compare_stage(const json& result) {
  // The published traces' requests, from the strictest to the loosest.
  const std::vector<SloRatios> traces = {{0.2, 0.5}, {0.2, 0.6}, {0.4, 0.7}, {0.6, 0.8}, {0.8, 0.9}, {1.0, 1.0}};
  std::string text = format_comparison(result.at("decisions"), traces);
  const json& gap = result.at("decisions").at("gap_closed");
  if (gap.is_number())
    text += fmt::format("the tlm closes {:.0f} % of the gap from single to oracle\n", 100 * gap.get<double>());
  const json& compression = result.at("compression");
  text += fmt::format("\nfull model, accuracy by prompt level, percent\n{:<16}", "words kept");
  for (const auto& level : compression.at("prompt_levels")) text += fmt::format(" {:>6}", level.get<int>());
  for (const auto& ranking : kRankings) {
    text += fmt::format("\n{:<16}", ranking);
    for (const auto& share : compression.at(ranking)) text += fmt::format(" {:>6.1f}", 100 * share.get<double>());
  }
  return text + "\n";
}

}  // namespace elastify
