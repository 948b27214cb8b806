#include "base/gnuplot_script.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

namespace elastify {
namespace {

// Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
constexpr std::size_t kColourCount = sizeof(kColours) / sizeof(kColours[0]);
constexpr std::size_t kMaxTics = 16;   // every value gets a tic where there are no more
constexpr std::size_t kMaxCells = 20;  // across: with more, numbers on the cells run into each other

// A single-quoted gnuplot string: unlike a double-quoted one, it runs no commands between backquotes.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c == '\n' || c == '\r' ? ' ' : c);
  return out + "'";
}

// A word of an inline data block, which has its own quotes.
std::string data_word(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' || c == '\\' || c == '\n' || c == '\r' ? ' ' : c;
  return out + "\"";
}

bool has_interval(const Series& series, std::size_t point) {
  return point < series.low.size() && point < series.high.size() && std::isfinite(series.low[point]) &&
         std::isfinite(series.high[point]);
}

std::size_t count_of(const Series& series) { return std::min(series.x.size(), series.y.size()); }

// One inline data block a series: x, y, the interval's ends (y itself where there is none), label.
std::string data_blocks(const Plot& plot, std::size_t panel) {
  std::string script;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    script += fmt::format("$series{}_{} << EOD\n", panel, i);
    for (std::size_t p = 0; p < count_of(series); ++p) {
      if (!drawable(plot, series, p)) continue;
      const bool interval = has_interval(series, p);
      script += fmt::format("{:.9g} {:.9g} {:.9g} {:.9g} {}\n", series.x[p], series.y[p],
                            interval ? series.low[p] : series.y[p], interval ? series.high[p] : series.y[p],
                            data_word(p < series.labels.size() ? series.labels[p] : ""));
    }
    script += "EOD\n";
  }
  return script;
}

// At the values themselves where they are few: "set xtics (20, 30, 40)".
std::string x_tics(const Plot& plot) {
  std::set<double> values;
  bool whole = true;
  for (const auto& series : plot.series) {
    for (std::size_t p = 0; p < count_of(series); ++p) {
      if (!drawable(plot, series, p)) continue;
      values.insert(series.x[p]);
      whole = whole && series.x[p] == std::floor(series.x[p]);
    }
  }
  if (!whole || values.empty() || values.size() > kMaxTics) return "set xtics autofreq\n";
  std::string list;
  for (const double value : values) list += fmt::format("{}{:g}", list.empty() ? "" : ", ", value);
  return "set xtics (" + list + ")\n";
}

std::string series_command(const Plot& plot, std::size_t panel, std::size_t i) {
  const Series& series = plot.series[i];
  const std::string data = fmt::format("$series{}_{}", panel, i), colour = kColours[i % kColourCount];
  const bool intervals = !series.low.empty();
  if (plot.bars) {
    return intervals ? fmt::format("{} using 1:2:3:4:(0.8) with boxerrorbars lc rgb '{}' title {}", data, colour,
                                   quoted(series.name))
                     : fmt::format("{} using 1:2 with boxes lc rgb '{}' title {}", data, colour, quoted(series.name));
  }
  std::string command;
  if (intervals && count_of(series) > 1)
    command += fmt::format("{} using 1:3:4 with filledcurves fs transparent solid 0.15 noborder lc rgb '{}' notitle, ",
                           data, colour);
  else if (intervals)
    command += fmt::format("{} using 1:2:3:4 with yerrorbars lw 1 pt 0 lc rgb '{}' notitle, ", data, colour);
  const char* style = count_of(series) > 60 ? "lines lw 2" : "linespoints lw 2 pt 7 ps 0.4";
  // Colours that come a second time are dashed.
  command += fmt::format("{} using 1:2 with {} dt {} lc rgb '{}' title {}", data, style, 1 + i / kColourCount, colour,
                         quoted(series.name));
  if (!series.labels.empty())
    command +=
        fmt::format(", {} using 1:2:5 with labels left offset 0.6,0.6 tc rgb '{}' font ',11' notitle", data, colour);
  return command;
}

std::string plot_panel(const Plot& plot, std::size_t panel) {
  const AxisRange x = x_range(plot), y = y_range(plot);
  std::string script =
      fmt::format("set xrange [{:.9g}:{:.9g}]\nset yrange [{:.9g}:{:.9g}]\n", x.low, x.high, y.low, y.high);
  script += fmt::format("set title {}\nset xlabel {}\nset ylabel {}\n", quoted(plot.title), quoted(plot.x_label),
                        quoted(plot.y_label));
  script += "set border 3 lc '#666666'\nset tics nomirror out scale 0.75\nset grid ytics lc '#dddddd' lt 1\n";
  script += plot.series.size() > 1 ? "set key outside right top\n" : "unset key\n";
  script += plot.log_y ? "set logscale y\n" : "unset logscale y\n";
  script += x_tics(plot) + "set ytics autofreq\n";
  // Absolute: a series of one bar has no neighbour to be relative to.
  if (plot.bars)
    script +=
        "set style fill solid 0.8 noborder\nset boxwidth 0.8 absolute\nset bars 0.6\nset errorbars lc '#333333'\n";
  std::string lines;
  for (std::size_t i = 0; i < plot.series.size(); ++i) lines += (i == 0 ? "" : ", ") + series_command(plot, panel, i);
  return script + "plot " + lines + "\n";
}

std::string cell_blocks(const HeatMap& map, std::size_t panel) {
  std::string script = fmt::format("$cells{} << EOD\n", panel);
  for (std::size_t y = 0; y < map.values.size(); ++y) {
    for (std::size_t x = 0; x < map.values[y].size(); ++x) {
      if (!std::isfinite(map.values[y][x])) continue;
      const bool labelled = y < map.labels.size() && x < map.labels[y].size();
      script += fmt::format("{} {} {:.9g} {}\n", x, y, map.values[y][x],
                            data_word(labelled ? map.labels[y][x] : fmt::format("{:.0f}", map.values[y][x])));
    }
  }
  return script + "EOD\n";
}

std::string cell_tics(const std::vector<double>& values) {
  std::string list;
  const std::size_t step = (values.size() + kMaxCells - 1) / std::max<std::size_t>(1, kMaxCells);
  for (std::size_t i = 0; i < values.size(); i += std::max<std::size_t>(1, step))
    list += fmt::format("{}'{:g}' {}", i == 0 ? "" : ", ", values[i], i);
  return "(" + list + ")";
}

std::string heat_map_panel(const HeatMap& map, std::size_t panel) {
  std::string script = fmt::format("set title {}\nset xlabel {}\nset ylabel {}\n", quoted(map.title),
                                   quoted(map.x_label), quoted(map.y_label));
  script += "unset logscale y\nunset grid\nset border 3 lc '#666666'\n";
  script += fmt::format("set xtics {}\nset ytics {}\nset tics nomirror scale 0\nunset key\n", cell_tics(map.x),
                        cell_tics(map.y));
  script += fmt::format("set xrange [-0.5:{}]\nset yrange [-0.5:{}]\n", static_cast<double>(map.x.size()) - 0.5,
                        static_cast<double>(map.y.size()) - 0.5);
  // From white to the charts' blue, light enough for dark numbers.
  script +=
      fmt::format("set palette defined (0 '#ffffff', 1 '#56b4e9')\nset cbrange [{:.9g}:{:.9g}]\n", map.low, map.high);
  script += fmt::format("plot $cells{} using 1:2:3 with image pixels", panel);
  if (map.x.size() <= kMaxCells)
    script += fmt::format(", $cells{} using 1:2:4 with labels tc rgb '#000000' font ',11'", panel);
  return script + "\n";
}

}  // namespace

bool drawable(const Plot& plot, const Series& series, std::size_t point) {
  return point < count_of(series) && std::isfinite(series.x[point]) && std::isfinite(series.y[point]) &&
         (!plot.log_y || series.y[point] > 0);
}

bool has_points(const Chart& chart) {
  if (const auto* map = std::get_if<HeatMap>(&chart)) return !map->values.empty();
  const Plot& plot = std::get<Plot>(chart);
  for (const auto& series : plot.series) {
    for (std::size_t p = 0; p < count_of(series); ++p) {
      if (drawable(plot, series, p)) return true;
    }
  }
  return false;
}

std::string gnuplot_script(const fs::path& output, const std::vector<Chart>& charts) {
  std::string script;
  for (std::size_t i = 0; i < charts.size(); ++i) {
    if (const auto* plot = std::get_if<Plot>(&charts[i]))
      script += data_blocks(*plot, i);
    else
      script += cell_blocks(std::get<HeatMap>(charts[i]), i);
  }
  script += fmt::format("set terminal svg noenhanced size 800,{} font 'Helvetica,13' background 'white'\n",
                        charts.size() == 1 ? 480 : 400 * charts.size());
  script += fmt::format("set output {}\n", quoted(output.string()));
  if (charts.size() > 1) script += fmt::format("set multiplot layout {},1\n", charts.size());
  for (std::size_t i = 0; i < charts.size(); ++i) {
    const auto* plot = std::get_if<Plot>(&charts[i]);
    script += plot != nullptr ? plot_panel(*plot, i) : heat_map_panel(std::get<HeatMap>(charts[i]), i);
  }
  if (charts.size() > 1) script += "unset multiplot\n";
  return script;
}

}  // namespace elastify
