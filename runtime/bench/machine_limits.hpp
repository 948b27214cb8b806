// What the machine can do at most, measured: the scale for a model's speed.
#pragma once

#include <cstdint>

#include "elrt/result.hpp"

namespace elrt {

// Of all threads together; best of several short runs. An operation is a multiplication or an addition.
struct MachineLimits {
  std::uint32_t threads = 0;
  double memory_bytes_per_s = 0;  // reading 256 MiB, far more than the caches hold
  double float_ops_per_s = 0;     // float32 fused multiply-adds in registers
  double bf16_ops_per_s = 0;      // products of bfloat16 summed in float32, where the processor has them; else the same
  // Products of bytes summed in 32 bits, in registers: what quantised weights are multiplied with (on AVX2: vpmaddubsw,
  // vpmaddwd, vpaddd).
  double byte_ops_per_s = 0;
};

// Takes about a second. Fails if memory or threads are missing. `threads` 0: one per core.
Result<MachineLimits> measure_machine_limits(std::uint32_t threads);

}  // namespace elrt
