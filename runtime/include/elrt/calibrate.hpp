// Measures an artifact's latency table on this device.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/export.h"
#include "elrt/latency_table.hpp"
#include "elrt/result.hpp"

namespace elrt {

struct CalibrateOptions {
  std::uint32_t threads = 0;           // 0: one per core
  std::uint32_t repeats = 5;           // measurements per median, 1 to 1000
  std::uint32_t max_tokens = 4096;     // the longest length, where the model's context is not shorter
  std::vector<std::uint32_t> lengths;  // ascending, 2 to the context; empty: powers of two from 16, and the longest
  KvType kv_type = KvType::kF32;       // the cache that requests will use
};

// The work done so far, 0..1, in units that take about equal time. Returning false stops. Must not throw.
using CalibrateProgress = std::function<bool(double done)>;

// Runs every level once so that its weights are in memory, then measures in turns (every level at one length, then the
// next length, then again), so that what else the machine does meets all levels alike. A measurement reads n random
// tokens and chooses the next one (TTFT at n), then steps back and decodes the last few of them one by one (TPOT at n,
// their mean). Medians over the repeats are then made monotone by isotonic regression: in the length, and in the level
// among levels with an adapter and among those without one. (A full level without an adapter can truly be faster than a
// nearly full one with it, which no clean-up may hide.) Where the artifact has a TLM, its decision and its compression
// are measured at every length too, in the same turns. kInvalidArgument for options out of range, kCancelled where
// `progress` stopped it.
ELRT_API Result<LatencyTable> calibrate(const Artifact& artifact, const CalibrateOptions& options = {},
                                        const CalibrateProgress& progress = {});

}  // namespace elrt
