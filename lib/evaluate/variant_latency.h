// Latency tables of variants' artifacts.
#pragma once

#include <elrt/latency_table.hpp>

#include <optional>

#include "pipeline/pipeline_config.h"

namespace elastify {

// Whether tlm.latency_table names a table that was measured on a device. Throws as LatencyTable::read() fails.
bool has_measured_table(const PipelineConfig& config);

// The table of `artifact`, a variant's base.gguf or model.gguf, where that of the settings is a measured one: measured
// on this device at the same lengths, as often, with as many threads and the same type of cache. It is kept next to the
// artifact as FILE.latency.json and measured once, as long as that fits artifact and device. Nothing where the settings
// name no table or a synthetic one: the train-tlm stage then makes a synthetic one of the variant's own artifact.
// Throws Interrupted after Ctrl-C or SIGTERM.
std::optional<elrt::LatencyTable> variant_latency(const PipelineConfig& config, const fs::path& artifact);

}  // namespace elastify
