#include "evaluate/evaluation_page.h"

#include <map>

#include "base/html_page.h"
#include "base/plot.h"
#include "evaluate/evaluation_tables.h"
#include "label/policies.h"
#include "label/yardstick.h"

namespace elastify {
namespace {

using nlohmann::json;

constexpr const char* kByTtft = "evaluation_ttft.svg";

// Right answers by TTFT, means over the TPOTs: a line for each policy and each method.
Plot plot_by_ttft(const json& evaluation) {
  Plot plot{"Right answers within the objective",
            "TTFT, share of the full model's",
            "percent, mean over TPOT 0.5 to 1.0",
            false,
            false,
            {}};
  const json& lattice = evaluation.at("objectives").at("lattice");
  const auto add = [&](const std::string& name, const auto& value) {
    std::map<double, std::pair<double, int>> sums;
    for (std::size_t s = 0; s < lattice.size(); ++s) {
      auto& [sum, count] = sums[lattice[s].at("ttft").get<double>()];
      sum += value(s);
      ++count;
    }
    Series series{name, {}, {}};
    for (const auto& [ttft, sum] : sums) {
      series.x.push_back(ttft);
      series.y.push_back(100 * sum.first / sum.second);
    }
    plot.series.push_back(std::move(series));
  };
  for (const auto& policy : kPolicies)
    add(policy_name(policy), [&](std::size_t s) { return lattice[s].at(policy).at("accuracy").get<double>(); });
  for (const auto& method : evaluation.at("methods").at("methods").items())
    add(method.key(), [&](std::size_t s) { return method.value().at("lattice").at(s).get<double>(); });
  return plot;
}

void add_table(HtmlPage& page, const TextTable& table) { page.table(table.caption, table.columns, table.rows); }

}  // namespace

void write_evaluation_page(const json& evaluation, const fs::path& run_dir) {
  draw_plot(run_dir / kByTtft, plot_by_ttft(evaluation));
  HtmlPage page("Evaluation of " + evaluation.at("artifact").get<std::string>(),
                "Times by the latency table of " + evaluation.at("latency").at("device").get<std::string>() + ", " +
                    std::to_string(evaluation.at("latency").at("threads").get<int>()) +
                    " threads. An answer counts where it is right and its decision keeps the objective.");
  page.section("Objectives");
  for (const auto& line : goal_lines(evaluation)) page.paragraph(line);
  add_table(page, objective_table(evaluation));
  page.image(run_dir / kByTtft, "Right answers by TTFT, a line for each policy and method");
  for (const char* policy : {"tlm", "oracle"})
    page.image(run_dir / (std::string("comparison_") + policy + ".svg"),
               "Right answers over TTFT and TPOT: " + policy_name(policy));
  page.section("Traces");
  page.paragraph(
      "Six apps with an objective each; the share of app i of six, from the loosest to the strictest, is softmax(alpha "
      "i). With a load, requests arrive at random (Poisson) and wait for each other; waiting counts in the TTFT.");
  add_table(page, trace_table(evaluation));
  add_table(page, app_table(evaluation));
  if (evaluation.at("yardstick").is_object()) {
    page.section("Without luck");
    page.preformatted(format_yardstick(evaluation.at("yardstick")));
  }
  page.section("Ablations");
  add_table(page, ablation_table(evaluation));
  page.section("Costs");
  add_table(page, stage_table_of(evaluation));
  add_table(page, carrying_table(evaluation));
  write_file(run_dir / "evaluation.html", page.text());
}

std::string format_evaluation(const json& evaluation) {
  std::string text;
  for (const auto& table : {objective_table(evaluation), trace_table(evaluation), app_table(evaluation),
                            ablation_table(evaluation), stage_table_of(evaluation), carrying_table(evaluation)})
    text += format_table(table) + "\n";
  for (const auto& line : goal_lines(evaluation)) text += line + "\n";
  return text;
}

}  // namespace elastify
