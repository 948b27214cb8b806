#include "pipeline/report.h"

#include "base/error.h"
#include "base/log.h"
#include "pack/inspect.h"

namespace elastify {

using nlohmann::json;

json make_report(const fs::path& run_dir) {
  const json inspected = inspect_artifact(run_dir / "model.gguf", false);
  json speeds = json::object();
  if (fs::exists(run_dir / "bench.json")) {
    const json bench = read_json(run_dir / "bench.json");
    for (const auto& level : bench.value("levels", json::array())) {
      if (level.is_object() && level.contains("level"))
        speeds[level.at("level").dump()] = level.value("decode_tokens_per_s", json());
    }
  }
  json levels = json::array();
  for (const auto& level : inspected.at("levels")) {
    levels.push_back({{"level", level.at("level")},
                      {"block_ratio", level.at("block_ratio")},
                      {"total_ratio", level.at("total_ratio")},
                      {"bytes", level.at("bytes_per_token")},
                      {"adapter_bytes", level.at("adapter_bytes")},
                      {"loss_before", level.at("loss_before")},
                      {"loss_after", level.at("loss_after")},
                      {"decode_tokens_per_s", speeds.value(level.at("level").dump(), json())}});
  }
  return {{"artifact", (run_dir / "model.gguf").string()}, {"bytes", inspected.at("bytes")}, {"levels", levels}};
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
