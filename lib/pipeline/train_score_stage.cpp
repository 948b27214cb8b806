#include "pipeline/stages.h"

#include <elrt/artifact.hpp>
#include <elrt/tlm.hpp>

#include <algorithm>

#include "base/error.h"
#include "base/runtime_result.h"
#include "label/question_pairs.h"
#include "label/task_sets.h"
#include "tlm/body_vocabulary.h"
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

// As set, that of the checkpoint, or learned.
std::string make_vocabulary(const TlmSettings& settings, const std::vector<std::string>& texts) {
  if (!settings.vocabulary.empty()) return read_file(settings.vocabulary);
  if (!settings.body.empty()) return body_vocabulary_text(settings.body);
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

// Of tlm.questions, where there are any: kept once made, as they cost a pass of the language model for each sentence.
std::vector<LabelledRow> ranked_rows(const StageContext& context, const elrt::WordPiece& vocabulary,
                                     const fs::path& artifact, const SloIds& slo) {
  const TlmStageConfig& settings = context.config.tlm;
  if (settings.questions.empty()) return {};
  const fs::path kept = context.work / "sentence-labels.json";
  if (fs::exists(kept)) return read_rows(kept);
  auto rows = question_rows(choose_question_pairs(settings.questions, settings.question_items), vocabulary, artifact,
                            settings, slo, context.config.threads);
  keep_rows(rows, kept);
  return rows;
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
  const auto ranked = ranked_rows(context, vocabulary, artifact_path, slo);
  rows.insert(rows.end(), ranked.begin(), ranked.end());
  const ScoreTraining trained =
      train_score_head(model, settings.model, !start.pretrained, rows, context.seed(), context.work);
  AtomicDirectory directory(context.run.file("score"));
  write_tlm(model, vocabulary_file, directory.path());
  directory.commit();
  return {{"vocabulary", vocabulary.vocab_size()},
          {"labels", settings.pairs.empty() ? "induced" : "pairs"},
          {"rows", rows.size()},
          {"ranked_rows", ranked.size()},
          {"retained_share", retained_share(rows)},
          {"masked_losses", start.masked.losses},
          {"joint_losses", trained.joint.losses},
          {"score_losses", trained.score.losses},
          {"cost", cost_table(model, artifact)}};
}

std::string describe_train_score(const json& summary) {
  const auto last = [](const json& losses) {
    return losses.empty() || !losses.back().is_number() ? std::string("-")
                                                        : fmt::format("{:.4f}", losses.back().get<double>());
  };
  std::string text = fmt::format(
      "{} rows of {} labels, {} of them of ranked sentences, {:.0f} % of the words retained; last losses: masked words "
      "{}, "
      "joint {}, score {}\n"
      "cost of the full model's prefill, percent:\ntokens  deciding  scoring\n",
      summary.at("rows").get<std::int64_t>(), summary.at("labels").get<std::string>(),
      summary.at("ranked_rows").get<std::int64_t>(), 100 * summary.at("retained_share").get<double>(),
      last(summary.at("masked_losses")), last(summary.at("joint_losses")), last(summary.at("score_losses")));
  for (const auto& row : summary.at("cost")) {
    text += fmt::format("{:>6}  {:>8.1f}  {:>7.1f}\n", row.at("tokens").get<int>(),
                        100 * row.at("decision_share").get<double>(), 100 * row.at("score_share").get<double>());
  }
  return text;
}

}  // namespace elastify
