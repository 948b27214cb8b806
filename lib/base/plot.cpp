#include "base/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"

namespace elastify {
namespace {

// Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
constexpr std::size_t kColourCount = sizeof(kColours) / sizeof(kColours[0]);

bool have_gnuplot() {
  static const bool found = [] {
    const bool there = std::system("command -v gnuplot >/dev/null 2>&1") == 0;
    if (!there) spdlog::info("charts are not drawn: gnuplot is missing (package gnuplot-nox)");
    return there;
  }();
  return found;
}

// A single-quoted gnuplot string: unlike a double-quoted one, it runs no commands between backquotes.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c == '\n' || c == '\r' ? ' ' : c);
  return out + "'";
}

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// One inline data block a series; points that are not finite (or not positive on a logarithmic axis) are left out.
std::string data_blocks(const Plot& plot) {
  std::string script;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    script += fmt::format("$series{} << EOD\n", i);
    const Series& series = plot.series[i];
    for (std::size_t p = 0; p < std::min(series.x.size(), series.y.size()); ++p) {
      const bool drawable =
          std::isfinite(series.x[p]) && std::isfinite(series.y[p]) && (!plot.log_y || series.y[p] > 0);
      if (drawable) script += fmt::format("{:.9g} {:.9g}\n", series.x[p], series.y[p]);
    }
    script += "EOD\n";
  }
  return script;
}

std::size_t point_count(const Plot& plot) {
  std::size_t count = 0;
  for (const auto& series : plot.series) count += series.x.size();
  return count;
}

std::string plot_script(const fs::path& output, const Plot& plot) {
  std::string script = data_blocks(plot);
  script += "set terminal svg noenhanced size 800,480 font 'Helvetica,13' background 'white'\n";
  script += fmt::format("set output {}\n", quoted(output.string()));
  script += fmt::format("set title {}\nset xlabel {}\nset ylabel {}\n", quoted(plot.title), quoted(plot.x_label),
                        quoted(plot.y_label));
  script += "set border 3 lc '#666666'\nset tics nomirror out\nset grid ytics lc '#dddddd' lt 1\n";
  script += plot.series.size() > 1 ? "set key outside right top\n" : "unset key\n";
  if (plot.log_y) script += "set logscale y\n";
  // Absolute: a series of one bar has no neighbour to be relative to.
  if (plot.bars) script += "set style fill solid 0.8 noborder\nset boxwidth 0.8 absolute\nset offsets 0.6, 0.6, 0, 0\n";
  if (plot.bars && point_count(plot) <= 40) script += "set xtics 1\n";
  if (plot.bars && !plot.log_y) script += "set yrange [*<0:0<*]\n";
  std::string lines;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const char* style = plot.bars                      ? "boxes"
                        : plot.series[i].x.size() > 60 ? "lines lw 2"
                                                       : "linespoints lw 2 pt 7 ps 0.4";
    lines += fmt::format("{}$series{} using 1:2 with {} lc rgb '{}' title {}", i == 0 ? "" : ", ", i, style,
                         kColours[i % kColourCount], quoted(plot.series[i].name));
  }
  return script + "plot " + lines + "\n";
}

bool has_points(const Plot& plot) {
  return std::any_of(plot.series.begin(), plot.series.end(), [&](const Series& series) {
    return std::any_of(series.y.begin(), series.y.end(),
                       [&](double y) { return std::isfinite(y) && (!plot.log_y || y > 0); });
  });
}

std::string tics(const std::vector<double>& values) {
  std::string list;
  for (std::size_t i = 0; i < values.size(); ++i) list += fmt::format("{}'{:g}' {}", i == 0 ? "" : ", ", values[i], i);
  return "(" + list + ")";
}

std::string heat_map_script(const fs::path& output, const HeatMap& map) {
  std::string script = "$cells << EOD\n";
  for (std::size_t y = 0; y < map.values.size(); ++y) {
    for (std::size_t x = 0; x < map.values[y].size(); ++x) {
      if (std::isfinite(map.values[y][x])) script += fmt::format("{} {} {:.9g}\n", x, y, map.values[y][x]);
    }
  }
  script += "EOD\nset terminal svg noenhanced size 800,480 font 'Helvetica,13' background 'white'\n";
  script += fmt::format("set output {}\nset title {}\nset xlabel {}\nset ylabel {}\n", quoted(output.string()),
                        quoted(map.title), quoted(map.x_label), quoted(map.y_label));
  script += fmt::format("set xtics {}\nset ytics {}\nset tics nomirror scale 0\nunset key\n", tics(map.x), tics(map.y));
  script += fmt::format("set xrange [-0.5:{}]\nset yrange [-0.5:{}]\n", static_cast<double>(map.x.size()) - 0.5,
                        static_cast<double>(map.y.size()) - 0.5);
  // From white to the charts' blue, light enough for dark numbers.
  script +=
      fmt::format("set palette defined (0 '#ffffff', 1 '#56b4e9')\nset cbrange [{:.9g}:{:.9g}]\n", map.low, map.high);
  return script +
         "plot $cells using 1:2:3 with image, $cells using 1:2:(sprintf('%.0f', $3)) with labels tc rgb '#000000'\n";
}

// `commands` draw `svg`.partial.
bool run_gnuplot(const fs::path& svg, const std::string& commands) {
  const fs::path script(svg.string() + ".gnuplot"), drawn(svg.string() + ".partial");
  write_file(script, commands);
  const int status = std::system(("gnuplot " + shell_quoted(script.string()) + " >/dev/null 2>&1").c_str());
  std::error_code error;
  fs::remove(script, error);
  if (status == 0) fs::rename(drawn, svg, error);
  if (status == 0 && !error) return true;
  spdlog::warn("{} was not drawn: gnuplot failed with status {}", svg.string(), status);
  fs::remove(drawn, error);
  return false;
}

}  // namespace

bool draw_plot(const fs::path& svg, const Plot& plot) {
  if (!has_points(plot) || !have_gnuplot()) return false;
  return run_gnuplot(svg, plot_script(svg.string() + ".partial", plot));
}

bool draw_heat_map(const fs::path& svg, const HeatMap& map) {
  if (map.values.empty() || !have_gnuplot()) return false;
  return run_gnuplot(svg, heat_map_script(svg.string() + ".partial", map));
}

}  // namespace elastify
