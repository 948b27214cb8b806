#include "pipeline/report.h"

#include <elrt/artifact.hpp>
#include <elrt/latency_table.hpp>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/runtime_result.h"
#include "pack/inspect.h"
#include "pipeline/quality_chart.h"

namespace elastify {

using nlohmann::json;

namespace {

constexpr std::uint32_t kTokens = 128;  // prompt and context that times are reported for, where they were measured

// {source, tokens, times: {LEVEL: [ttft_ms, tpot_ms]}} of this artifact's latency table, null where there is none.
json table_times(const fs::path& artifact_path) {
  const fs::path path = elrt::LatencyTable::default_path(artifact_path);
  if (!fs::exists(path)) return nullptr;
  const elrt::Artifact artifact = take(elrt::Artifact::open(artifact_path));
  const elrt::LatencyTable table = take(elrt::LatencyTable::read(path));
  if (table.data().artifact != artifact.identity()) {
    spdlog::warn("{} was measured with another artifact and is left out: run elastic-run calibrate again",
                 path.string());
    return nullptr;
  }
  const std::uint32_t tokens = std::clamp(kTokens, table.data().tokens.front(), table.data().tokens.back());
  json times = json::object();
  for (const auto& level : table.data().levels)
    times[std::to_string(level.level)] = {table.ttft_ms(level.level, tokens), table.tpot_ms(level.level, tokens)};
  return {{"source", "latency table"}, {"tokens", tokens}, {"times", times}};
}

// The same from bench.json: the time of its prompt, and a token's after it.
json bench_times(const json& bench) {
  const json prompt = bench.is_object() ? bench.value("prompt_tokens", json()) : json();
  if (!prompt.is_number()) return nullptr;
  json times = json::object();
  for (const auto& level : bench.value("levels", json::array())) {
    const double prefill = level.value("prefill_tokens_per_s", 0.0), decode = level.value("decode_tokens_per_s", 0.0);
    if (prefill > 0 && decode > 0)
      times[level.at("level").dump()] = {1000 * prompt.get<double>() / prefill, 1000 / decode};
  }
  return {{"source", "bench"}, {"tokens", prompt}, {"times", times}};
}

}  // namespace

json make_report(const fs::path& run_dir) {
  const fs::path artifact = run_dir / "model.gguf";
  const json inspected = inspect_artifact(artifact, false);
  const json bench = fs::exists(run_dir / "bench.json") ? read_json(run_dir / "bench.json") : json();
  json speeds = json::object();
  if (bench.is_object()) {
    for (const auto& level : bench.value("levels", json::array())) {
      if (level.is_object() && level.contains("level"))
        speeds[level.at("level").dump()] = level.value("decode_tokens_per_s", json());
    }
  }
  json latency = table_times(artifact);
  if (latency.is_null()) latency = bench_times(bench);
  const json times = latency.is_null() ? json::object() : latency.at("times");
  json levels = json::array();
  for (const auto& level : inspected.at("levels")) {
    const std::string name = level.at("level").dump();
    const json time = times.value(name, json::array({nullptr, nullptr}));
    levels.push_back({{"level", level.at("level")},
                      {"block_ratio", level.at("block_ratio")},
                      {"total_ratio", level.at("total_ratio")},
                      {"bytes", level.at("bytes_per_token")},
                      {"adapter_bytes", level.at("adapter_bytes")},
                      {"loss_before", level.at("loss_before")},
                      {"loss_after", level.at("loss_after")},
                      {"ttft_ms", time.at(0)},
                      {"tpot_ms", time.at(1)},
                      {"decode_tokens_per_s", speeds.value(name, json())}});
  }
  if (latency.is_object()) latency.erase("times");
  return {{"artifact", artifact.string()}, {"bytes", inspected.at("bytes")}, {"latency", latency}, {"levels", levels}};
}

bool draw_report(const fs::path& run_dir, const json& report) {
  return draw_charts(run_dir / "quality.svg", quality_charts(report));
}

std::string format_report(const json& report) {
  const auto cell = [](const json& value, const char* format) {
    return value.is_number() ? fmt::format(fmt::runtime(format), value.get<double>()) : std::string("-");
  };
  std::string text =
      fmt::format("{}: {}, all levels included; losses in nats per token on held-out text\n\n",
                  report.at("artifact").get<std::string>(), format_bytes(report.at("bytes").get<double>()));
  text += "level  real ratio  of all weights  read per token  loss before  loss after  decode tokens/s\n";
  for (const auto& level : report.at("levels")) {
    text += fmt::format("{:>5}  {:>10}  {:>14}  {:>14}  {:>11}  {:>10}  {:>15}\n", level.at("level").get<int>(),
                        cell(level.at("block_ratio"), "{:.3f}"), cell(level.at("total_ratio"), "{:.3f}"),
                        format_bytes(level.at("bytes").get<double>()), cell(level.at("loss_before"), "{:.3f}"),
                        cell(level.at("loss_after"), "{:.3f}"), cell(level.at("decode_tokens_per_s"), "{:.0f}"));
  }
  return text;
}

}  // namespace elastify
