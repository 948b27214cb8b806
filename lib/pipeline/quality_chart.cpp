#include "pipeline/quality_chart.h"

#include <algorithm>

#include <fmt/format.h>

namespace elastify {
namespace {

using nlohmann::json;

// Levels in the order of their times, so that the line runs from left to right.
Series by_time(const std::string& name, const json& levels, const char* time, const char* loss) {
  struct Point {
    double x, y;
    std::string level;
  };
  std::vector<Point> points;
  for (const auto& level : levels) {
    if (!level.at(time).is_number() || !level.at(loss).is_number()) continue;
    points.push_back({level.at(time), level.at(loss), fmt::format("{}", level.at("level").get<int>())});
  }
  std::stable_sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
  Series series{name, {}, {}};
  for (const auto& point : points) {
    series.x.push_back(point.x);
    series.y.push_back(point.y);
    series.labels.push_back(point.level);
  }
  return series;
}

}  // namespace

std::vector<Chart> quality_charts(const json& report) {
  const json& latency = report.at("latency");
  if (!latency.is_object()) return {};
  std::vector<Chart> charts;
  for (const auto& [time, title, unit] : {std::tuple{"tpot_ms", "time per output token", "context"},
                                          std::tuple{"ttft_ms", "time to the first token", "prompt"}}) {
    Plot plot{fmt::format("Quality against {}, by level", title),
              fmt::format("{}, ms, {} of {} tokens ({})", title, unit, latency.at("tokens").get<int>(),
                          latency.at("source").get<std::string>()),
              "held-out loss, nats per token",
              false,
              false,
              {by_time("before recovery", report.at("levels"), time, "loss_before"),
               by_time("after recovery", report.at("levels"), time, "loss_after")}};
    if (!plot.series.front().x.empty()) charts.push_back(std::move(plot));
  }
  return charts;
}

}  // namespace elastify
