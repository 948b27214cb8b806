#include "base/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/error.h"
#include "base/gnuplot_script.h"
#include "base/log.h"

namespace elastify {
namespace {

bool have_gnuplot() {
  static const bool found = [] {
    const bool there = std::system("command -v gnuplot >/dev/null 2>&1") == 0;
    if (!there) spdlog::info("charts are not drawn: gnuplot is missing (package gnuplot-nox)");
    return there;
  }();
  return found;
}

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
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

class Extent {
 public:
  void add(double value) {
    if (!std::isfinite(value)) return;
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
  AxisRange range() const {
    if (low_ > high_) return {};
    if (low_ < high_) return {low_, high_};
    const double reach = low_ == 0 ? 1 : 0.1 * std::abs(low_);
    return {low_ - reach, low_ + reach};
  }

 private:
  double low_ = std::numeric_limits<double>::infinity(), high_ = -std::numeric_limits<double>::infinity();
};

template <typename Visit>
void each_point(const Plot& plot, Visit visit) {
  for (const auto& series : plot.series) {
    for (std::size_t p = 0; p < series.x.size(); ++p) {
      if (drawable(plot, series, p)) visit(series, p);
    }
  }
}

}  // namespace

AxisRange x_range(const Plot& plot) {
  Extent extent;
  each_point(plot, [&](const Series& series, std::size_t p) {
    for (const double side : {-0.5, 0.5}) extent.add(series.x[p] + (plot.bars ? side : 0));
  });
  return extent.range();
}

AxisRange y_range(const Plot& plot) {
  Extent extent;
  if (plot.bars && !plot.log_y) extent.add(0);
  each_point(plot, [&](const Series& series, std::size_t p) {
    extent.add(series.y[p]);
    const auto end = [&](const std::vector<double>& ends) {
      if (p < ends.size() && (!plot.log_y || ends[p] > 0)) extent.add(ends[p]);
    };
    end(series.low);
    end(series.high);
  });
  return extent.range();
}

bool draw_plot(const fs::path& svg, const Plot& plot) { return draw_charts(svg, {plot}); }

bool draw_heat_map(const fs::path& svg, const HeatMap& map) { return draw_charts(svg, {map}); }

bool draw_charts(const fs::path& svg, const std::vector<Chart>& charts) {
  std::vector<Chart> filled;
  std::copy_if(charts.begin(), charts.end(), std::back_inserter(filled), has_points);
  if (filled.empty() || !have_gnuplot()) return false;
  return run_gnuplot(svg, gnuplot_script(svg.string() + ".partial", filled));
}

}  // namespace elastify
