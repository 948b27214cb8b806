// The report's times, and the chart of loss against them.
#include "pipeline/report.h"

#include <elrt/calibrate.hpp>

#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include "pipeline/quality_chart.h"
#include "support/temp_dir.h"
#include "unit/runtime/tiny_tokenizer.h"

using namespace elastify;
using elastify_test::TempDir;
using nlohmann::json;

namespace {

void write_artifact(const fs::path& run_dir, const std::string& name = "one") {
  elastify_test::GgufBuilder file = elastify_test::tiny_artifact_with_tokenizer();
  file.metadata["general.name"] = name;
  const std::vector<unsigned char> bytes = file.build();
  write_file(run_dir / "model.gguf", std::string(bytes.begin(), bytes.end()));
}

json level(int name, double before, double after, double ttft, double tpot) {
  return {{"level", name}, {"loss_before", before}, {"loss_after", after}, {"ttft_ms", ttft}, {"tpot_ms", tpot}};
}

}  // namespace

TEST_CASE("a report without measurements has no times and draws nothing", "[pipeline][unit]") {
  const TempDir dir;
  write_artifact(dir.path());
  const json report = make_report(dir.path());
  CHECK(report.at("latency").is_null());
  REQUIRE(report.at("levels").size() == 3);
  CHECK(report.at("levels")[0].at("tpot_ms").is_null());
  CHECK(quality_charts(report).empty());
  CHECK_FALSE(draw_report(dir.path(), report));
}

TEST_CASE("a report takes times from the latency table, else from bench.json", "[pipeline][unit]") {
  const TempDir dir;
  write_artifact(dir.path());
  write_json(dir / "bench.json", {{"prompt_tokens", 16},
                                  {"levels",
                                   {{{"level", 20}, {"prefill_tokens_per_s", 1000}, {"decode_tokens_per_s", 100}},
                                    {{"level", 100}, {"prefill_tokens_per_s", 500}, {"decode_tokens_per_s", 50}}}}});
  json report = make_report(dir.path());
  CHECK(report.at("latency") == json({{"source", "bench"}, {"tokens", 16}}));
  CHECK(report.at("levels")[0].at("ttft_ms") == 16.0);
  CHECK(report.at("levels")[0].at("tpot_ms") == 10.0);
  CHECK(report.at("levels")[1].at("tpot_ms").is_null());  // level 50 was not measured
  CHECK(report.at("levels")[2].at("decode_tokens_per_s") == 50);

  auto artifact = elrt::Artifact::open(dir / "model.gguf");
  REQUIRE(artifact.ok());
  elrt::CalibrateOptions options;
  options.threads = options.repeats = 1;
  auto table = elrt::calibrate(artifact.value(), options);
  REQUIRE(table.ok());
  REQUIRE(table->write(elrt::LatencyTable::default_path(dir / "model.gguf")).ok());
  report = make_report(dir.path());
  CHECK(report.at("latency") == json({{"source", "latency table"}, {"tokens", 64}}));  // the model's context
  CHECK(report.at("levels")[1].at("tpot_ms").get<double>() ==
        Approx(table->tpot_ms(50, 64)).epsilon(1e-3));  // as the file rounds it
  CHECK(report.at("levels")[1].at("ttft_ms").get<double>() == Approx(table->ttft_ms(50, 64)).epsilon(1e-3));

  write_artifact(dir.path(), "another");  // the table is another artifact's now
  CHECK(make_report(dir.path()).at("latency").at("source") == "bench");
}

TEST_CASE("the chart has a named point for each level, from the fastest to the slowest", "[pipeline][unit]") {
  json report = {{"latency", {{"source", "latency table"}, {"tokens", 128}}},
                 {"levels", {level(20, 6, 2.5, 10, 1), level(90, 2, 1.75, 60, 4.5), level(100, 1.5, 1.5, 70, 4)}}};
  report["levels"].push_back(
      {{"level", 50}, {"loss_before", 4}, {"loss_after", 2}, {"ttft_ms", nullptr}, {"tpot_ms", nullptr}});
  const std::vector<Chart> charts = quality_charts(report);
  REQUIRE(charts.size() == 2);
  const auto& tokens = std::get<Plot>(charts[0]);
  CHECK_THAT(tokens.x_label, Catch::Matchers::Contains("time per output token, ms") &&
                                 Catch::Matchers::Contains("128 tokens") && Catch::Matchers::Contains("latency table"));
  REQUIRE(tokens.series.size() == 2);
  CHECK(tokens.series[1].name == "after recovery");
  CHECK(tokens.series[1].x == std::vector<double>{1, 4, 4.5});
  CHECK(tokens.series[1].y == std::vector<double>{2.5, 1.5, 1.75});
  CHECK(tokens.series[1].labels == std::vector<std::string>{"20", "100", "90"});
  CHECK(std::get<Plot>(charts[1]).series[0].x == std::vector<double>{10, 60, 70});
}
