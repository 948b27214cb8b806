#include "evaluate/loaded_run.h"

#include "base/error.h"
#include "base/runtime_result.h"
#include "model/device.h"
#include "pipeline/decision_parts.h"
#include "pipeline/stages.h"

namespace elastify {

std::vector<std::int64_t> LoadedRun::test_tasks() const {
  const torch::Tensor rows_of_test = table.rows(TaskSplit::kTest);
  return {rows_of_test.data_ptr<std::int64_t>(), rows_of_test.data_ptr<std::int64_t>() + rows_of_test.numel()};
}

std::unique_ptr<LoadedRun> load_run(const PipelineConfig& config, const fs::path& run_dir) {
  OutcomeTable table = load_outcomes(run_dir / "labels.h5");
  const Tlm tlm = read_tlm(run_dir / "tlm", parse_device(config.device));
  const auto rule = read_choice_rule(run_dir / "tlm", static_cast<std::int64_t>(table.model_levels.size()),
                                     static_cast<std::int64_t>(table.prompt_levels.size()));
  if (!rule) fail_data("{} has no {}: run elastify build again", (run_dir / "tlm").string(), kChoiceRuleFile);
  auto tasks = labelled_tasks(config.label, table);
  auto run = std::make_unique<LoadedRun>(LoadedRun{std::move(table),
                                                   std::move(tasks),
                                                   *rule,
                                                   take(elrt::LatencyTable::read(run_dir / kLatencyFile)),
                                                   nullptr,
                                                   nullptr,
                                                   {}});
  run->with_tlm = std::make_unique<DecisionSpace>(run->table, run->latency, true);
  run->without_tlm = std::make_unique<DecisionSpace>(run->table, run->latency, false);
  run->proposals = propose_lattice(tlm.model, {*run->with_tlm, decision_rows(run->tasks, tlm)}, TaskSplit::kTest);
  return run;
}

}  // namespace elastify
