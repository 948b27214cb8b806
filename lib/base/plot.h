// Charts as SVG files, drawn by gnuplot where it is installed.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/files.h"

namespace elastify {

struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> low{}, high{};  // the 95 % interval of each y; empty where nothing is sampled
  std::vector<std::string> labels{};  // next to the points; empty: none
};

struct Plot {
  std::string title, x_label, y_label;
  bool bars = false;  // one box per point, one apart, instead of a line
  bool log_y = false;
  std::vector<Series> series;
};

// values[y][x], one colour each, with its number on it where there is room.
struct HeatMap {
  std::string title, x_label, y_label;
  std::vector<double> x, y;  // what stands at the cells
  std::vector<std::vector<double>> values;
  double low = 0, high = 1;                        // ends of the colours
  std::vector<std::vector<std::string>> labels{};  // on the cells; empty: the values, without decimals
};

struct AxisRange {
  double low = 0, high = 1;
};

// What the axes show: from the smallest to the largest value that is drawn, intervals included, and nothing else. Bars
// take half a place on either side and start at 0. A single value stands in the middle of a range of its own.
AxisRange x_range(const Plot& plot);
AxisRange y_range(const Plot& plot);

using Chart = std::variant<Plot, HeatMap>;

// Writes `svg`. Without gnuplot, says so once in the log and returns false: the data also stands in the stage's JSON.
// False too where there is nothing to draw.
bool draw_plot(const fs::path& svg, const Plot& plot);
bool draw_heat_map(const fs::path& svg, const HeatMap& map);
// Several in one file, one under the other.
bool draw_charts(const fs::path& svg, const std::vector<Chart>& charts);

}  // namespace elastify
