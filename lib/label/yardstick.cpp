#include "label/yardstick.h"

#include "base/error.h"
#include "label/luck.h"

namespace elastify {
namespace {

using nlohmann::json;

// [tasks, objectives] float64 each.
struct Columns {
  torch::Tensor hindsight, at_most, corrected, tlm, single;

  Columns take(const torch::Tensor& rows) const {
    const auto of = [&](const torch::Tensor& values) { return values.index_select(0, rows); };
    return {of(hindsight), of(at_most), of(corrected), of(tlm), of(single)};
  }
  Columns objective(std::int64_t index) const {
    const auto of = [&](const torch::Tensor& values) { return values.narrow(1, index, 1); };
    return {of(hindsight), of(at_most), of(corrected), of(tlm), of(single)};
  }
};

json summary(const Columns& columns) {
  const auto mean = [](const torch::Tensor& values) { return mean_error(values.mean(1)); };
  const MeanError corrected = mean(columns.corrected), tlm = mean(columns.tlm), single = mean(columns.single);
  const MeanError gain = mean(columns.tlm - columns.single);
  const double gap = corrected.mean - single.mean;
  return {{"hindsight", mean(columns.hindsight).mean},
          {"at_most", mean(columns.at_most).mean},
          {"corrected", corrected.mean},
          {"corrected_error", corrected.error},
          {"tlm", tlm.mean},
          {"single", single.mean},
          {"gain", gain.mean},
          {"gain_error", gain.error},
          {"gap_closed", gap > 1e-9 ? json(gain.mean / gap) : json()}};
}

// Of all tasks under one objective.
BestDecision bound_under(const SloRatios& slo, const DecisionSpace& space, const torch::Tensor& tasks,
                         const RepeatedOutcomes& repeats) {
  const OutcomeTable& table = space.table();
  const SloView all = space.under(slo), view = space.under(tasks, slo);
  const torch::Tensor families = table.family.index_select(0, tasks);
  const torch::Tensor prior =
      family_accuracy(table, all.right, table.rows(TaskSplit::kValidation)).index_select(0, families);
  std::vector<torch::Tensor> right;
  for (const torch::Tensor& outcomes : repeats) right.push_back(view.reduce(outcomes).flatten(1));
  return best_decision(torch::stack(right, 1), view.feasible.flatten(1), prior.flatten(1));
}

}  // namespace

json yardstick(const PolicyScores& scores, const DecisionSpace& space, TaskSplit split,
               const RepeatedOutcomes& repeats) {
  const OutcomeTable& table = space.table();
  const torch::Tensor tasks = table.rows(split);
  std::vector<torch::Tensor> hindsight, at_most, corrected;
  for (const SloRatios& slo : scores.slos) {
    const BestDecision best = bound_under(slo, space, tasks, repeats);
    hindsight.push_back(best.hindsight);
    at_most.push_back(best.at_most);
    corrected.push_back(best.corrected);
  }
  const Columns columns{torch::stack(hindsight, 1), torch::stack(at_most, 1), torch::stack(corrected, 1),
                        scores.right.at("tlm"), scores.right.at("single")};
  json result = {{"repeats", repeats.size()}, {"mean", summary(columns)}, {"families", json::object()}};
  const torch::Tensor families = table.family.index_select(0, tasks);
  for (std::size_t f = 0; f < table.families.size(); ++f) {
    const torch::Tensor rows = (families == static_cast<std::int64_t>(f)).nonzero().squeeze(1);
    if (rows.numel() > 0) result["families"][table.families[f]] = summary(columns.take(rows));
  }
  for (std::size_t i = 0; i < scores.slos.size(); ++i) {
    json row = summary(columns.objective(static_cast<std::int64_t>(i)));
    row["ttft"] = scores.slos[i][0];
    row["tpot"] = scores.slos[i][1];
    result["lattice"].push_back(std::move(row));
  }
  return result;
}

std::string format_yardstick(const json& result) {
  std::string text = fmt::format(
      "without luck, asked {} times in other words; mean over all objectives, percent\n{:<20} {:>9} {:>9} {:>13} {:>6} "
      "{:>6} {:>13}  gap closed\n",
      result.at("repeats").get<int>(), "family", "hindsight", "at most", "corrected", "single", "tlm", "gain");
  const auto line = [&](const std::string& name, const json& row) {
    const auto share = [&](const char* key) { return 100 * row.at(key).get<double>(); };
    text += fmt::format("{:<20} {:>9.1f} {:>9.1f} {:>7.1f} ± {:<3.1f} {:>6.1f} {:>6.1f} {:>+7.1f} ± {:<3.1f}  {}\n",
                        name, share("hindsight"), share("at_most"), share("corrected"), 1.96 * share("corrected_error"),
                        share("single"), share("tlm"), share("gain"), 1.96 * share("gain_error"),
                        row.at("gap_closed").is_number() ? fmt::format("{:.0f} %", share("gap_closed")) : "-");
  };
  for (const auto& family : result.at("families").items()) line(family.key(), family.value());
  line("all", result.at("mean"));
  return text;
}

}  // namespace elastify
