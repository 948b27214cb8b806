#include "baselines/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/log.h"

namespace elastify {
namespace {

using nlohmann::json;

struct Axis {
  const char* key;
  const char* label;
};
constexpr Axis kAxes[] = {{"tpot_share", "time per output token, share of the full model's"},
                          {"ttft_share", "time to the first token, share of the full model's"},
                          {"bytes_share", "bytes of weights a token reads, share of the full model's"}};
constexpr const char* kWhen[] = {"before", "after"};

std::optional<double> number(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object.at(key).is_number()) return std::nullopt;
  return object.at(key).get<double>();
}

std::optional<double> cost_of(const json& result, const std::string& axis) {
  return number(result.at("latency"), axis.c_str());
}

std::optional<double> loss_of(const json& result, const std::string& when, const std::string& text) {
  return number(result.value("loss_" + when, json()), text.c_str());
}

bool feasible(const json& result) { return !result.contains("infeasible"); }

std::vector<std::string> names_of(const json& object) {
  std::vector<std::string> names;
  for (const auto& item : object.items()) names.push_back(item.key());
  return names;
}

// Methods in the order of their first result.
std::vector<std::string> methods_of(const json& results) {
  std::vector<std::string> names;
  for (const json& result : results) {
    const std::string name = result.at("method");
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

CostCurve curve_of(const json& results, const json& full, const std::string& method, const std::string& axis,
                   const std::string& when, const std::string& text) {
  CostCurve curve;
  for (const json& result : results) {
    if (result.at("method") != method || !feasible(result)) continue;
    const auto cost = cost_of(result, axis), loss = loss_of(result, when, text);
    if (!cost || !loss) continue;
    curve.cost.push_back(*cost);
    curve.loss.push_back(*loss);
  }
  const auto whole = number(full.at("losses"), text.c_str());
  // A small model trained from nothing does not become the full one.
  if (whole && !curve.cost.empty() && method != "scratch") {
    curve.cost.push_back(1);
    curve.loss.push_back(*whole);
  }
  return curve;
}

Series sorted_series(const std::string& name, const CostCurve& curve) {
  std::vector<std::pair<double, double>> points;
  for (std::size_t i = 0; i < curve.cost.size(); ++i) points.emplace_back(curve.cost[i], curve.loss[i]);
  std::sort(points.begin(), points.end());
  Series series{name, {}, {}, {}, {}, {}};
  for (const auto& [cost, loss] : points) {
    series.x.push_back(cost);
    series.y.push_back(loss);
  }
  return series;
}

json compare_one(const json& results, const json& full, const json& ours, const Axis& axis, const std::string& when,
                 const std::string& text) {
  const auto cost = cost_of(ours, axis.key), loss = loss_of(ours, when, text);
  if (!cost || !loss) return nullptr;
  json others = json::object();
  for (const auto& method : methods_of(results)) {
    if (method == "ours") continue;
    const auto at = loss_at(curve_of(results, full, method, axis.key, when, text), *cost);
    others[method] = at ? json(*at) : json(nullptr);
  }
  return {
      {"level", ours.at("level")}, {"axis", axis.key}, {"cost", *cost}, {"text", text}, {"when", when}, {"ours", *loss},
      {"others", others}};
}

std::string cell(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "-";
}

std::string result_row(const json& result, const std::vector<std::string>& texts, bool tasks) {
  std::string row = fmt::format("{:>5}  {:<14}", result.at("level").get<int>(), result.at("method").get<std::string>());
  if (!feasible(result)) return row + "  " + result.at("infeasible").get<std::string>() + "\n";
  const json& latency = result.at("latency");
  const bool counted = latency.value("source", "") != "measured";
  row += fmt::format("  {:>6.3f}  {:>7}  {:>7}{}  {:>6}", result.at("block_ratio").get<double>(),
                     cell(cost_of(result, "ttft_share"), 3), cell(cost_of(result, "tpot_share"), 3),
                     counted ? "*" : " ", cell(cost_of(result, "bytes_share"), 3));
  for (const auto& text : texts) {
    for (const char* when : kWhen) row += fmt::format("  {:>9}", cell(loss_of(result, when, text), 3));
  }
  row += fmt::format("  {:>9}", result.value("training_tokens", std::int64_t{0}));
  if (tasks) {
    const auto accuracy = number(result.value("tasks", json()), "mean_accuracy");
    row += fmt::format("  {:>8}", accuracy ? cell(100 * *accuracy, 1) : "-");
  }
  return row + "\n";
}

std::string results_table(const json& document) {
  const std::vector<std::string> texts = names_of(document.at("full").at("losses"));
  const bool tasks = document.at("full").contains("tasks");
  std::string text = fmt::format("{:>5}  {:<14}  {:>6}  {:>7}  {:>7}   {:>6}", "level", "method", "blocks", "prefill",
                                 "decode", "bytes");
  for (const auto& name : texts) text += fmt::format("  {:>9}  {:>9}", name.substr(0, 9), "recovered");
  text += fmt::format("  {:>9}{}\n", "tokens", tasks ? "  accuracy" : "");
  text += fmt::format("{:>5}  {:<14}  {:>6}  {:>7}  {:>7}   {:>6}", 100, "full", "1.000", "1.000", "1.000", "1.000");
  for (const auto& name : texts)
    text += fmt::format("  {:>9}  {:>9}", cell(number(document["full"]["losses"], name.c_str()), 3), "");
  if (tasks) {
    text +=
        fmt::format("  {:>9}  {:>8}", "", cell(100 * document["full"]["tasks"].at("mean_accuracy").get<double>(), 1));
  }
  text += "\n";
  for (const json& result : document.at("results")) text += result_row(result, texts, tasks);
  return text +
         "prefill, decode, bytes: shares of the full model's, adapters included; * counted by weights, not "
         "measured\n";
}

std::string comparison_table(const json& document, const Axis& axis, const std::string& when, const std::string& text) {
  const auto methods = methods_of(document.at("results"));
  std::string table;
  for (const json& line : document.at("comparison")) {
    if (line.at("axis") != axis.key || line.at("when") != when || line.at("text") != text) continue;
    if (table.empty()) {
      table = fmt::format("\n{}, {} recovery, by {}: each method's loss minus ours at our cost\nlevel    cost    ours",
                          text, when, axis.label);
      for (const auto& method : methods) {
        if (method != "ours") table += fmt::format("  {:>13}", method);
      }
      table += "\n";
    }
    const double ours = line.at("ours").get<double>();
    table += fmt::format("{:>5}  {:>6.3f}  {:>6.3f}", line.at("level").get<int>(), line.at("cost").get<double>(), ours);
    for (const auto& method : methods) {
      if (method == "ours") continue;
      const auto other = number(line.at("others"), method.c_str());
      table += fmt::format("  {:>13}", other ? fmt::format("{:+.3f}", *other - ours) : "-");
    }
    table += "\n";
  }
  return table;
}

}  // namespace

std::optional<double> loss_at(CostCurve curve, double cost) {
  std::vector<std::size_t> order(curve.cost.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return curve.cost[a] != curve.cost[b] ? curve.cost[a] < curve.cost[b] : curve.loss[a] < curve.loss[b];
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double x = curve.cost[order[i]], y = curve.loss[order[i]];
    if (x == cost) return y;
    if (x < cost) continue;
    if (i == 0) return std::nullopt;
    const double x0 = curve.cost[order[i - 1]], y0 = curve.loss[order[i - 1]];
    return y0 + (y - y0) * (cost - x0) / (x - x0);
  }
  return std::nullopt;
}

void require_equal_data(const json& results) {
  std::map<std::string, const json*> first;  // by field, and by level where the field depends on it
  const auto check = [&](const json& result, const std::string& field, const json& value, bool by_level) {
    const std::string place = field + (by_level ? " " + result.at("level").dump() : "");
    const auto [entry, added] = first.emplace(place, &result);
    if (added) return;
    const json& other = *entry->second;
    const json& expected = other.at("data").at(field);
    if (value == expected) return;
    fail_data(
        "baselines: {} at level {} has other {} than {} at level {}: expected {}, found {}; remove its folder "
        "and run again",
        result.at("method").get<std::string>(), result.at("level").dump(), field, other.at("method").get<std::string>(),
        other.at("level").dump(), expected.dump(), value.dump());
  };
  for (const json& result : results) {
    if (!feasible(result)) continue;
    for (const auto& item : result.at("data").items())
      check(result, item.key(), item.value(), item.key() == "row_order");
  }
}

json compare_at_equal_cost(const json& results, const json& full) {
  json lines = json::array();
  for (const json& ours : results) {
    if (ours.at("method") != "ours" || !feasible(ours)) continue;
    for (const auto& text : names_of(full.at("losses"))) {
      for (const Axis& axis : kAxes) {
        for (const char* when : kWhen) {
          json line = compare_one(results, full, ours, axis, when, text);
          if (!line.is_null()) lines.push_back(std::move(line));
        }
      }
    }
  }
  return lines;
}

std::vector<Chart> baseline_charts(const json& results, const json& full) {
  std::vector<Chart> charts;
  for (const auto& text : names_of(full.at("losses"))) {
    for (const Axis& axis : kAxes) {
      for (const char* when : kWhen) {
        if (&axis != &kAxes[0] && std::string_view(when) == "before") continue;  // one view of what is cut suffices
        Plot plot{fmt::format("Loss on {}, {} recovery", text, when), axis.label, "nats per token", false, false, {}};
        for (const auto& method : methods_of(results)) {
          const CostCurve curve = curve_of(results, full, method, axis.key, when, text);
          if (!curve.cost.empty()) plot.series.push_back(sorted_series(method, curve));
        }
        if (!plot.series.empty()) charts.emplace_back(std::move(plot));
      }
    }
  }
  return charts;
}

std::string format_baselines(const json& document) {
  std::string text = results_table(document);
  for (const auto& name : names_of(document.at("full").at("losses"))) {
    for (const Axis& axis : kAxes) {
      for (const char* when : kWhen) text += comparison_table(document, axis, when, name);
    }
  }
  return text;
}

}  // namespace elastify
