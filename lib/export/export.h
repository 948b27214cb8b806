// One level of a model as other engines hold it.
#pragma once

#include <string>

#include "base/files.h"

namespace elastify {

struct ExportOptions {
  fs::path source;  // a run directory or an artifact
  std::int64_t level = 100;
  std::string format;          // hf, gguf or peft
  std::string dtype = "same";  // of the matrices; same: as the source has them, or the nearest that the format has
  fs::path out;                // hf, peft: a folder; gguf: a file
  bool adapter = true;         // false: the level as it was cut
  bool pad = true;             // false: layers of different widths are refused where the format has one for all
  bool force = false;          // replaces what an earlier export left there
};

// Writes `out`, which appears whole or not at all. Returns {out, format, source, level, dtype, architecture, layers,
// layers_left_out, kv_groups: [..], neurons: [..] as written, zero_groups, zero_neurons, adapter: "merged", "separate"
// or null, dequantised, weights, bytes, notes: [lines for people]}. Throws Error(kUsage) for options that do not fit
// the level or the format and where `out` is in the way, Error(kBadData) for a damaged source, Error(kInternal) where
// the system fails (a full disk).
nlohmann::json export_level(const ExportOptions& options);

// The same for people.
std::string format_export(const nlohmann::json& summary);

}  // namespace elastify
