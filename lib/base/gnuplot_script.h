// Charts as commands of gnuplot.
#pragma once

#include <string>
#include <vector>

#include "base/plot.h"

namespace elastify {

// Draws `charts`, one under the other, into the SVG file `output`.
std::string gnuplot_script(const fs::path& output, const std::vector<Chart>& charts);

// Whether a point can be drawn: finite, and positive on a logarithmic axis.
bool drawable(const Plot& plot, const Series& series, std::size_t point);
bool has_points(const Chart& chart);

}  // namespace elastify
