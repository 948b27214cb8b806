#include "pipeline/stages.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "label/task_sets.h"
#include "tlm/prompt_scorer.h"

namespace elastify {

json run_label(const StageContext& context) {
  const LabelConfig& config = context.config.label;
  if (!fs::exists(context.work / "plan.json")) {
    const Tlm tlm = read_tlm(context.run.file("score"), torch::kCPU);
    LabelTasks prepared = prepare_tasks(config, tlm.model, tlm.vocabulary, context.seed());
    prepare_label_work(context.work,
                       {context.run.file(kBaseArtifact), tlm.model.settings.model_levels, config.prompt_levels,
                        prepared.families, config.chunk_tasks, config.phases},
                       prepared.tasks);
  }
  run_label_work(context.work, context.config.threads);
  const OutcomeTable table = collect_label_work(context.work);
  save_outcomes(context.run.file("labels.h5"), table);
  json accuracy = json::object();
  for (std::size_t s = 0; s < kTaskSplits.size(); ++s) {
    const torch::Tensor rows = table.rows(static_cast<TaskSplit>(s));
    if (rows.numel() == 0) continue;
    const torch::Tensor right = table.right().index_select(0, rows);  // [tasks, M, D, P]
    accuracy[kTaskSplits[s]] = {
        {"tasks", rows.numel()},
        {"full", right.select(1, -1).select(1, -1).select(1, -1).to(torch::kFloat64).mean().item<double>()},
        {"any", right.flatten(1).any(1).to(torch::kFloat64).mean().item<double>()}};
  }
  const std::int64_t levels = table.chosen.size(1), pairs = table.phases() ? levels * (levels + 1) / 2 : levels;
  return {{"tasks", table.tasks()}, {"decisions", pairs * table.chosen.size(3)}, {"accuracy", accuracy}};
}

json help_label(const fs::path& run_dir, std::int64_t threads) {
  const InterruptWatch watch;
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

std::string describe_label(const json& summary) {
  std::string text =
      fmt::format("{} tasks, {} decisions each; right answers, percent:\nsplit       tasks   full  any decision\n",
                  summary.at("tasks").get<std::int64_t>(), summary.at("decisions").get<std::int64_t>());
  for (const auto& split : summary.at("accuracy").items()) {
    text +=
        fmt::format("{:<10}  {:>5}  {:>5.1f}  {:>12.1f}\n", split.key(), split.value().at("tasks").get<std::int64_t>(),
                    100 * split.value().at("full").get<double>(), 100 * split.value().at("any").get<double>());
  }
  return text;
}

}  // namespace elastify
