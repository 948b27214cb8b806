#include "evaluate/variant_latency.h"

#include <elrt/calibrate.hpp>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/runtime_result.h"

namespace elastify {
namespace {

bool is_measured(const elrt::LatencyTable& table) { return table.data().device != "synthetic"; }

// As the given table was measured.
elrt::CalibrateOptions options_like(const elrt::LatencyData& given, std::uint32_t context) {
  elrt::CalibrateOptions options;
  options.threads = given.threads;
  options.repeats = given.repeats;
  options.kv_type = given.kv_type;
  for (const std::uint32_t length : given.tokens) {
    if (length >= 2 && length <= context) options.lengths.push_back(length);
  }
  return options;
}

elrt::LatencyTable measure_latency(const elrt::Artifact& artifact, const elrt::CalibrateOptions& options) {
  const InterruptWatch watch;
  auto table = elrt::calibrate(artifact, options, [](double) { return interrupted() == 0; });
  stop_if_interrupted();
  return take(std::move(table));
}

}  // namespace

bool has_measured_table(const PipelineConfig& config) {
  return !config.tlm.latency_table.empty() && is_measured(take(elrt::LatencyTable::read(config.tlm.latency_table)));
}

std::optional<elrt::LatencyTable> variant_latency(const PipelineConfig& config, const fs::path& artifact_path) {
  if (!has_measured_table(config)) return std::nullopt;
  const elrt::LatencyData given = take(elrt::LatencyTable::read(config.tlm.latency_table)).data();
  if (const std::string here = take(elrt::device_description()); here != given.device)
    spdlog::warn("{} was measured on {}; variants are measured on this device, {}", config.tlm.latency_table,
                 given.device, here);
  const elrt::Artifact artifact = take(elrt::Artifact::open(artifact_path));
  const fs::path path = elrt::LatencyTable::default_path(artifact_path);
  if (auto kept = elrt::LatencyTable::read(path); kept && kept->check(artifact, given.threads, given.kv_type))
    return std::move(kept).value();
  spdlog::info("measuring {} on this device", artifact_path.string());
  const elrt::LatencyTable table = measure_latency(artifact, options_like(given, artifact.shape().context));
  if (auto written = table.write(path); !written) fail_with(written.failure());
  return table;
}

}  // namespace elastify
