// What a level costs on this machine, whatever method chose its widths.
#pragma once

#include <elrt/tokenizer.hpp>

#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "finetune/finetune_config.h"
#include "pack/pack.h"
#include "reorder/plan.h"

namespace elastify {

struct LatencyRequest {
  const Checkpoint& checkpoint;  // of the shapes; which weights they hold costs no time
  const elrt::TokenizerSpec& tokenizer;
  const PackConfig& pack;
  const FinetuneConfig& finetune;  // of the adapter, where there is one
  const LevelPlan& plan;
  bool adapter = true;
  std::int64_t prompt_tokens = 256, repeats = 5, threads = 0;
  fs::path artifact;  // written, measured and removed
};

// Packs the level next to the full one and measures both in turns on the runtime: {source: "measured", dtype,
// prompt_tokens, ttft_ms, tpot_ms, full_ttft_ms, full_tpot_ms, ttft_share, tpot_share, bytes, full_bytes, bytes_share};
// shares are of the full model in the same turns, bytes the weights that decoding one token reads, the adapter
// included. Where the runtime cannot hold the
// widths, {source: "counted", why, ...}: shares of weights and no times.
nlohmann::json measure_latency(const LatencyRequest& request);

// For a level that no artifact can express: the share of weights that a token reads instead of times.
nlohmann::json counted_latency(double ttft_share, double weight_share, const std::string& why);

}  // namespace elastify
