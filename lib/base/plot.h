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
  bool bars = false;   // one box per point, one apart, instead of a line
  bool log_y = false;
  std::vector<Series> series;
};

// Writes `svg`. Without gnuplot, says so once in the log and returns false: the data also stands in the stage's JSON.
bool draw_plot(const fs::path& svg, const Plot& plot);

}  // namespace elastify
