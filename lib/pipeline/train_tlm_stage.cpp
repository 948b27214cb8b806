#include "pipeline/stages.h"

#include <elrt/artifact.hpp>

#include "base/runtime_result.h"
#include "pipeline/decision_parts.h"

namespace elastify {
namespace {

elrt::LatencyTable load_latency(const PipelineConfig& config, const elrt::Artifact& artifact) {
  if (config.tlm.latency_table.empty()) return synthetic_latency(artifact);
  return with_tlm_latency(take(elrt::LatencyTable::read(config.tlm.latency_table)));
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
  write_choice_rule(directory.path(), trained.rule);
  directory.commit();
  if (auto done = latency.write(context.run.file(kLatencyFile)); !done) fail_with(done.failure());
  return {{"losses", trained.losses.losses},
          {"best_step", trained.best_step},
          {"validation_accuracy", trained.validation_accuracy},
          {"head_weight", *trained.rule.head_weight},
          {"label_default_share", trained.label_default_share},
          {"latency_table", config.tlm.latency_table.empty() ? "synthetic" : config.tlm.latency_table}};
}

std::string describe_train_tlm(const json& summary) {
  return fmt::format(
      "decision-head for latency table {}: validation accuracy {:.1f} %, best at step {}; {:.0f} % of the labels are "
      "the default; the head's weight next to what is expected of every decision: {:.2g}\n",
      summary.at("latency_table").get<std::string>(), 100 * summary.at("validation_accuracy").get<double>(),
      summary.at("best_step").get<std::int64_t>(), 100 * summary.at("label_default_share").get<double>(),
      summary.at("head_weight").get<double>());
}

}  // namespace elastify
