#include "pipeline/stages.h"

#include <elrt/tlm.hpp>

#include <cmath>

#include "base/error.h"
#include "base/plot.h"
#include "base/runtime_result.h"
#include "eval/interval.h"
#include "label/comparison.h"
#include "label/label_work.h"
#include "label/repeats.h"
#include "label/task_sets.h"
#include "label/word_ranking.h"
#include "label/yardstick.h"
#include "pipeline/decision_parts.h"

namespace elastify {
namespace {

// Accuracy of the full model by prompt level, of prompts compressed otherwise than the labelled ones: [levels].
std::vector<double> accuracy_by_level(const StageContext& context, const std::string& ranking,
                                      const std::vector<TaskItem>& tasks, const Tlm& tlm) {
  const LabelConfig& config = context.config.label;
  std::vector<WordedPrompt> prompts;
  for (const auto& task : tasks) prompts.push_back(word_prompt(task, tlm.vocabulary));
  const auto scores = rank_words(ranking, tasks, prompts, tlm.model, tlm.vocabulary, context.seed());
  std::vector<PreparedTask> prepared;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    PreparedTask one;
    one.options = tasks[i].options;
    one.answer = tasks[i].answer;
    compress_levels(one, prompts[i], scores[i], config.prompt_levels);
    prepared.push_back(std::move(one));
  }
  const fs::path work = context.work / ranking;
  fs::create_directories(work);
  prepare_label_work(work, {context.run.file(kBaseArtifact), {100}, config.prompt_levels, {"all"}, config.chunk_tasks},
                     prepared);
  run_label_work(work, context.config.threads);
  const torch::Tensor shares = collect_label_work(work).right_at_one_level().select(1, -1).to(torch::kFloat64).mean(0);
  return {shares.data_ptr<double>(), shares.data_ptr<double>() + shares.numel()};
}

json compare_compression(const StageContext& context, const OutcomeTable& table, const std::vector<TaskItem>& tasks,
                         const Tlm& tlm) {
  const torch::Tensor rows = table.rows(TaskSplit::kTest);
  std::vector<TaskItem> asked;
  for (std::int64_t i = 0; i < rows.numel(); ++i)
    asked.push_back(tasks[static_cast<std::size_t>(rows[i].item<std::int64_t>())]);
  json result = {{"prompt_levels", table.prompt_levels}, {"tasks", rows.numel()}};
  Plot plot{"Answers of the full model by prompt level",
            "prompt level, percent of the prompt's words",
            "accuracy, percent, 95 % interval",
            false,
            false,
            {}};
  for (const auto& ranking : kRankings) {
    std::vector<double> accuracy;
    if (ranking == ranking_of_labels(context.config.label)) {  // the table has them
      const torch::Tensor shares =
          table.right_at_one_level().index_select(0, rows).select(1, -1).to(torch::kFloat64).mean(0);
      accuracy.assign(shares.data_ptr<double>(), shares.data_ptr<double>() + shares.numel());
    } else {
      accuracy = accuracy_by_level(context, ranking, asked, tlm);
    }
    result[ranking] = accuracy;
    Series series{ranking, {}, {}};
    for (std::size_t p = 0; p < accuracy.size(); ++p) {
      series.x.push_back(static_cast<double>(table.prompt_levels[p]));
      series.y.push_back(100 * accuracy[p]);
      const auto n = static_cast<std::size_t>(rows.numel());
      const Interval interval =
          wilson_interval(static_cast<std::size_t>(std::llround(accuracy[p] * static_cast<double>(n))), n);
      series.low.push_back(100 * interval.low);
      series.high.push_back(100 * interval.high);
    }
    plot.series.push_back(std::move(series));
  }
  draw_plot(context.run.file("compression.svg"), plot);
  return result;
}

// The test tasks' outcomes, and those of the same prompts with other cues.
RepeatedOutcomes ask_again(const StageContext& context, const OutcomeTable& table) {
  const LabelConfig& config = context.config.label;
  const Tlm score = read_tlm(context.run.file("score"), torch::kCPU);
  LabelTasks prepared = prepare_tasks(config, score.model, score.vocabulary, context.seed());
  std::erase_if(prepared.tasks, [](const PreparedTask& task) { return task.split != TaskSplit::kTest; });
  RepeatedOutcomes outcomes = {table.right().index_select(0, table.rows(TaskSplit::kTest))};
  for (std::size_t repeat = 1; repeat < static_cast<std::size_t>(config.repeats); ++repeat) {
    const fs::path work = context.work / fmt::format("asked again {}", repeat);
    fs::create_directories(work);
    prepare_label_work(work,
                       {context.run.file(kBaseArtifact), table.model_levels, config.prompt_levels, prepared.families,
                        config.chunk_tasks, config.phases},
                       asked_again(prepared.tasks, repeat));
    run_label_work(work, context.config.threads);
    outcomes.push_back(collect_label_work(work).right());
  }
  return outcomes;
}

}  // namespace

json run_compare(const StageContext& context) {
  const OutcomeTable table = load_outcomes(context.run.file("labels.h5"));
  const Tlm tlm = read_tlm(context.run.file("tlm"), context.device);
  const elrt::LatencyTable latency = take(elrt::LatencyTable::read(context.run.file(kLatencyFile)));
  const auto tasks = labelled_tasks(context.config.label, table);
  const auto rule = read_choice_rule(context.run.file("tlm"), static_cast<std::int64_t>(table.model_levels.size()),
                                     static_cast<std::int64_t>(table.prompt_levels.size()));
  require(rule.has_value(), "the train-tlm stage left no {}", kChoiceRuleFile);
  const DecisionSpace space(table, latency, true);
  PolicyScores scores;
  const auto proposals = propose_lattice(tlm.model, {space, decision_rows(tasks, tlm)}, TaskSplit::kTest);
  json result = {{"decisions", compare_phases(proposals, *rule, space, latency, TaskSplit::kTest, &scores)},
                 {"compression", compare_compression(context, table, tasks, tlm)}};
  if (context.config.label.repeats > 1)
    result["yardstick"] = yardstick(scores, space, TaskSplit::kTest, ask_again(context, table));
  for (const auto& policy : kPolicies)
    draw_heat_map(context.run.file("comparison_" + policy + ".svg"), comparison_map(result["decisions"], policy));
  write_json(context.run.file("comparison.json"), result);
  return result;
}

std::string describe_compare(const json& result) {
  // The published traces' requests, from the strictest to the loosest.
  const std::vector<SloRatios> traces = {{0.2, 0.5}, {0.2, 0.6}, {0.4, 0.7}, {0.6, 0.8}, {0.8, 0.9}, {1.0, 1.0}};
  std::string text = format_comparison(result.at("decisions"), traces);
  const json& gap = result.at("decisions").at("gap_closed");
  if (gap.is_number())
    text += fmt::format("the tlm closes {:.0f} % of the gap from single to oracle\n", 100 * gap.get<double>());
  text += fmt::format("looser objectives that the tlm answers worse, beyond noise: {}\n",
                      result.at("decisions").at("falls").size());
  if (result.at("decisions").contains("one_level"))
    text += "one level: the same policies where the level that reads a prompt also writes the answer\n";
  if (result.contains("yardstick")) text += "\n" + format_yardstick(result.at("yardstick"));
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
