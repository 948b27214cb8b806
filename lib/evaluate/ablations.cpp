#include "evaluate/ablations.h"

#include "base/error.h"
#include "label/comparison.h"

namespace elastify {
namespace {

using nlohmann::json;

// {tlm, met, families} of a policy in compare_decisions()'s document.
json served(const json& comparison, const char* policy) {
  json result = {{"tlm", comparison.at("mean").at(policy).at("accuracy")},
                 {"met", comparison.at("mean").at(policy).at("met")},
                 {"families", json::object()}};
  for (const auto& family : comparison.at("families").items())
    result["families"][family.key()] = family.value().at(policy).at("accuracy");
  return result;
}

json judged(const LoadedRun& run, const ChoiceRule& rule) {
  return compare_decisions(judge_policies(run.proposals, rule, *run.with_tlm, *run.without_tlm, TaskSplit::kTest));
}

json named(const char* name, const char* about, json result) {
  result["name"] = name;
  result["about"] = about;
  return result;
}

}  // namespace

json served_accuracy(LoadedRun& run, const LoadedRun& clock) {
  if (!torch::equal(run.table.task, clock.table.task))
    fail_data("the two runs were labelled on different tasks: build both with the same label settings");
  for (DecisionSpace* space : {run.with_tlm.get(), run.without_tlm.get()})
    space->judge_by(clock.with_tlm->full_times());
  return served(judged(run, run.rule), "tlm");
}

std::vector<json> quick_ablations(const LoadedRun& run, const json& objectives) {
  std::vector<json> results = {
      named("no_decision_head", "decisions by expected accuracy alone",
            served(judged(run, {run.rule.accuracy, 0.0}), "tlm")),
      named("published_choice", "the decision-head alone, as published", served(objectives, "head"))};
  if (objectives.contains("one_level"))
    results.push_back(named("one_level", "the level that reads the prompt writes the answer",
                            served(objectives.at("one_level"), "tlm")));
  return results;
}

}  // namespace elastify
