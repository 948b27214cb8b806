// Charts as SVG files, drawn by gnuplot where it is installed.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"

namespace elastify {

struct Series {
  std::string name;
  std::vector<double> x, y;
};

struct Plot {
  std::string title, x_label, y_label;
  bool bars = false;  // one box per point, one apart, instead of a line
  bool log_y = false;
  std::vector<Series> series;
};

// values[y][x], one colour each, with its number on it.
struct HeatMap {
  std::string title, x_label, y_label;
  std::vector<double> x, y;  // what stands at the cells
  std::vector<std::vector<double>> values;
  double low = 0, high = 1;  // ends of the colours
};

// Writes `svg`. Without gnuplot, says so once in the log and returns false: the data also stands in the stage's JSON.
bool draw_plot(const fs::path& svg, const Plot& plot);
bool draw_heat_map(const fs::path& svg, const HeatMap& map);

}  // namespace elastify
