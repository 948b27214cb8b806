// Axes, intervals and marks of charts, in numbers and in the SVG that gnuplot writes.
#include "base/plot.h"

#include <catch2/catch.hpp>

#include <limits>
#include <string>

#include "base/gnuplot_script.h"
#include "support/skip.h"
#include "support/temp_dir.h"

using namespace elastify;
using elastify_test::TempDir;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

// gnuplot writes a text as "<text><tspan ...>TEXT</tspan></text>", tics with a space before them.
bool shows(const std::string& svg, const std::string& text) {
  return svg.find(">" + text + "<") != std::string::npos || svg.find("> " + text + "<") != std::string::npos;
}

Plot accuracy() {
  Series series{"with adapter", {20, 50, 90}, {41.5, 63, 71.5}};
  series.low = {38, 60, 69};
  series.high = {45, 66, 73.5};
  return {"Accuracy", "level", "percent", false, false, {series, {"chance", {20, 50, 90}, {25, 25, 25}}}};
}

}  // namespace

TEST_CASE("axes end where the data does, intervals included", "[base][unit]") {
  const Plot plot = accuracy();
  CHECK(x_range(plot).low == 20);
  CHECK(x_range(plot).high == 90);
  CHECK(y_range(plot).low == 25);
  CHECK(y_range(plot).high == 73.5);
}

TEST_CASE("what is not drawn stretches no axis", "[base][unit]") {
  Plot plot{"Loss", "step", "nats", false, false, {{"training", {1, 2, 3, kNan}, {2, kNan, 1, 500}}}};
  CHECK(x_range(plot).high == 3);
  CHECK(y_range(plot).high == 2);
  plot.log_y = true;
  plot.series[0].y[0] = -4;
  CHECK(y_range(plot).low < 1);  // one positive value is left: it stands in the middle
  CHECK(y_range(plot).high > 1);
  CHECK(y_range(plot).low > 0);
}

TEST_CASE("bars have room on either side and start at 0", "[base][unit]") {
  const Plot plot{"Layers", "layer", "nats", true, false, {{"anchor", {0}, {3}}, {"other", {1, 2}, {1, -2}}}};
  CHECK(x_range(plot).low == -0.5);
  CHECK(x_range(plot).high == 2.5);
  CHECK(y_range(plot).low == -2);
  CHECK(y_range(plot).high == 3);
  const Plot positive{"Layers", "layer", "nats", true, false, {{"other", {1, 2}, {1, 2}}}};
  CHECK(y_range(positive).low == 0);
}

TEST_CASE("a single value stands in the middle of its axes", "[base][unit]") {
  const Plot plot{"One", "level", "nats", false, false, {{"loss", {20}, {0}}}};
  CHECK(x_range(plot).low == 18);
  CHECK(x_range(plot).high == 22);
  CHECK(y_range(plot).low == -1);
  CHECK(y_range(plot).high == 1);
}

TEST_CASE("every bar is drawn, also that of a series of one", "[base][unit]") {
  const TempDir dir;
  const Plot plot{"Layers", "layer", "nats", true, false, {{"anchor", {0}, {3}}, {"other", {1, 2}, {1, 2}}}};
  if (!draw_plot(dir / "bars.svg", plot)) return elastify_test::skip_case("needs gnuplot");
  const std::string svg = read_file(dir / "bars.svg");
  // Bars and one key sample for each series, in the series' colours.
  CHECK(count(svg, "<polygon fill = 'rgb(  0, 114, 178)'") == 2);
  CHECK(count(svg, "<polygon fill = 'rgb(213,  94,   0)'") == 3);
  for (const char* layer : {"0", "1", "2"}) CHECK(shows(svg, layer));
  CHECK_FALSE(shows(svg, "3.5"));
  CHECK_FALSE(shows(svg, "-1"));
}

TEST_CASE("lines have tics at their values, a band for their interval and a name", "[base][unit]") {
  const TempDir dir;
  if (!draw_plot(dir / "lines.svg", accuracy())) return elastify_test::skip_case("needs gnuplot");
  const std::string svg = read_file(dir / "lines.svg");
  for (const char* text : {"20", "50", "90", "with adapter", "chance", "Accuracy", "level", "percent"}) {
    INFO(text);
    CHECK(shows(svg, text));
  }
  for (const char* beyond : {"100", "10", "75", "80"}) {
    INFO(beyond);
    CHECK_FALSE(shows(svg, beyond));
  }
  CHECK(count(svg, "fill-opacity = '0.150000'") == 1);
}

TEST_CASE("points have labels, maps have counts, and several charts share a file", "[base][unit]") {
  const TempDir dir;
  Series series{"after recovery", {1.5, 4}, {2.25, 1.5}};
  series.labels = {"20", "it's \"100\""};
  const Plot plot{"Quality", "ms", "nats", false, false, {series}};
  const HeatMap map{
      "Plan", "layer", "level", {0, 1}, {20, 100}, {{50, 25}, {100, 100}}, 0, 100, {{"32", "16"}, {"64", "64"}}};
  if (!draw_charts(dir / "both.svg", {plot, map})) return elastify_test::skip_case("needs gnuplot");
  const std::string svg = read_file(dir / "both.svg");
  for (const char* text : {"Quality", "Plan", "20", "32", "16"}) {
    INFO(text);
    CHECK(shows(svg, text));
  }
  CHECK(count(svg, ">64<") == 2);
}

TEST_CASE("nothing is drawn where there is nothing to draw", "[base][unit]") {
  const TempDir dir;
  CHECK_FALSE(draw_plot(dir / "no.svg", {"None", "x", "y", false, false, {{"empty", {1}, {kNan}}}}));
  CHECK_FALSE(draw_charts(dir / "no.svg", {}));
  CHECK_FALSE(fs::exists(dir / "no.svg"));
}

TEST_CASE("a colour that comes a second time is dashed", "[base][unit]") {
  Plot plot;
  for (int i = 0; i < 9; ++i) plot.series.push_back({std::to_string(i), {0, 1}, {1, static_cast<double>(i)}});
  const std::string script = gnuplot_script("x.svg", {plot});
  const auto style_of = [&](int i) {
    const std::size_t at = script.find("$series0_" + std::to_string(i) + " using");
    return script.substr(script.find(" dt ", at), script.find(" title", at) - script.find(" dt ", at));
  };
  CHECK(style_of(0) != style_of(1));
  CHECK(style_of(7) != style_of(0));
  CHECK(style_of(7).substr(0, 5) == " dt 2");
}
