// What bench prints.
#pragma once

#include "bench_measure.hpp"
#include "machine_limits.hpp"

namespace elastic_run {

// A level's figures while they are gathered.
struct LevelBench {
  std::string file, dtype;
  elrt::LevelInfo info;
  double block_operations = 0, head_operations = 0;
  double switch_us = 0;
  Resident resident;
  std::uint64_t reclaimed_bytes = 0, cache_bytes_per_token = 0;
  std::vector<double> prefill = {}, decode = {};  // tokens per second
};

// The level's fields. Shares are of the machine's limits: decoding's of the memory bandwidth, prefill's of the peak
// arithmetic in the type that is multiplied (bytes for quantised weights, else floats).
nlohmann::json to_json(const LevelBench& bench, const elrt::MachineLimits& limits, std::uint32_t prompt_tokens);
nlohmann::json to_json(const StartUp& start, const std::string& file);
nlohmann::json to_json(const AdapterCost& cost, const LevelBench& bench);
nlohmann::json to_json(const Drafting& drafting, const std::string& file);

void print_bench_table(const nlohmann::json& result);

}  // namespace elastic_run
