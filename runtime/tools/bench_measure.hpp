// What bench measures of a session: speed, switching, memory, drafting.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "run_common.hpp"

namespace elastic_run {

double median(std::vector<double> values);

// Any tokens will do; equal for equal counts.
std::vector<elrt::TokenId> random_tokens(std::uint32_t count, std::uint32_t vocab);

struct Speeds {
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0;
};
// The first `prompt_tokens` read at once, the others one by one.
Speeds measure_speeds(elrt::Session& session, std::span<const elrt::TokenId> tokens, std::uint32_t prompt_tokens);

// One level change, as the mean of many: the clock is coarser than a change.
double measure_switch_us(elrt::Session& session, std::uint32_t level, std::uint32_t other);

// From the file's name to its first token, medians in milliseconds; its pages are in the system's cache, but mapped
// again each time.
struct StartUp {
  double open_ms = 0, tokenizer_ms = 0, session_ms = 0,
         first_token_ms = 0;  // 0 for the tokenizer where the file has none
  double total_ms = 0;
};
StartUp measure_start(const std::string& file, const elrt::SessionOptions& options, std::uint32_t repeats);

// Of this process, now and at most since restart_peak(); `file` is what of the artifact is in memory (Linux; else 0).
struct Resident {
  std::uint64_t bytes = 0, peak = 0, file = 0;
};
void restart_peak();
Resident measure_resident();

// Multiplications and additions of one prompt token in a level's blocks, attention over the cache apart.
double block_operations(const elrt::Artifact& artifact, const elrt::LevelInfo& level);
// ... and of one row of logits.
double head_operations(const elrt::Artifact& artifact);

// What a level's adapter adds to a token's time, as a share of the time without it (0.05: a twentieth more): ratios of
// medians over prompts, and over tokens, read in turns: a machine's speed changes within seconds.
struct AdapterCost {
  double prefill = 0, decode = 0;
};
// Both sessions stand at the level; `without` was opened with `use_adapter = false`.
AdapterCost measure_adapter_cost(elrt::Session& with, elrt::Session& without, std::span<const elrt::TokenId> tokens,
                                 std::uint32_t prompt_tokens, std::uint32_t repeats);

// Greedy generation with and without a draft level, in turns.
struct Drafting {
  std::uint32_t level = 0, draft_level = 0;
  elrt::SpeculationReport report;                   // of all runs
  double plain_tokens_per_s = 0, tokens_per_s = 0;  // medians
};
struct DraftingSetting {
  std::vector<elrt::TokenId> prompt;
  std::uint32_t gen_tokens = 64, draft_tokens = 6, repeats = 5;
};
Drafting measure_drafting(elrt::Session& session, const elrt::Tokenizer& tokenizer, std::uint32_t draft_level,
                          const DraftingSetting& setting);

}  // namespace elastic_run
